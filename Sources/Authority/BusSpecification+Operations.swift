import Instructions

extension BusSpecification {
  /// Whether this bus object knows the operation at all; a pair that it does not know is refused with `operation`.
  public func supports(_ opcode: Opcode) -> Bool { operations.contains(opcode) }

  /// The operations that this bus object knows (DESIGN section 6).
  public var operations: OperationSet {
    switch device {
    case .i2c, .spi: OperationSet(.transfer)
    case .gpio(_, _, let direction, let edge):
      switch (direction, edge) {
      case (.output, _): OperationSet([.read, .write])
      case (.input, .none): OperationSet(.read)
      case (.input, _): OperationSet([.read, .wait])
      }
    case .serial: OperationSet([.read, .write, .control, .wait])
    case .pci: OperationSet([.read, .write])
    case .hid: OperationSet([.read, .write, .control, .wait])
    case .usb: OperationSet(.control)
    case .simulated(let device):
      switch device {
      case .registerFile, .eeprom, .temperatureSensor, .spiLoopback: OperationSet(.transfer)
      case .gpioChip: OperationSet([.read, .write, .wait])
      case .uartA, .uartB: OperationSet([.read, .write, .control, .wait])
      }
    }
  }
}

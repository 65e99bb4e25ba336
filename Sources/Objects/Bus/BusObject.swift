import Authority
import Instructions
import Linux

/// Opens bus objects.
public enum BusObject {
  /// Opens the device that the definition names, of the kernel or of the simulated kernel, with the settings it gives.
  ///
  /// - Parameter simulation: the simulated kernel; one for the broker's life.
  /// - Throws: the errno of the open or of a setting; EINVAL for a definition that no device can satisfy. Nothing stays
  ///   open or set then.
  public static func open(_ specification: BusSpecification, simulation: SimulatedBuses) throws(SystemError)
    -> any OpenObject
  {
    let operations = specification.operations
    // A request that the table does not have could never be passed on; better said now than at the first use.
    for control in specification.ioctls {
      guard let bus = specification.controlBus, BusControl(request: control.request, on: bus) != nil else {
        throw .invalid
      }
    }
    switch specification.device {
    case .i2c(let path, let address):
      return try i2c(BusDevice(path: path), address: address)
    case .spi(let path, let mode, let speed, let bits):
      guard mode <= 3 else { throw .invalid }
      return try SPIObject(BusDevice(path: path), mode: mode, speed: speed, bits: bits)
    case .gpio(let path, let lines, let direction, let edge):
      guard !lines.isEmpty, lines.count <= BusDevice.gpioLineLimit else { throw .invalid }
      let all = UInt64.max >> UInt64(64 - lines.count)
      return try GPIOObject(
        BusDevice(path: path), lines: lines, outputs: direction == .output ? all : 0,
        edge: direction == .output ? .none : edge, operations: operations)
    case .serial(let path, let baud, let parity, let stopBits):
      return try SerialObject(
        BusDevice(path: path), baud: baud, parity: parity, stopBits: stopBits, operations: operations)
    case .pci(let address, let region):
      return try openPCI(address: address, region: region)
    case .hid(let path):
      let device = try BusDevice(path: path)
      try device.requireHID()
      return hid(device)
    case .usb(let path):
      let device = try BusDevice(path: path)
      try device.requireUSB()
      return usb(device)
    case .simulated(let device):
      return try open(device, simulation, operations)
    }
  }

  /// A slave on an adapter that is open.
  package static func i2c(_ device: BusDevice, address: UInt16) throws(SystemError) -> any OpenObject {
    try I2CObject(device, address: address)
  }

  /// A serial object whose reads wait that many nanoseconds instead of a second.
  package static func serial(_ device: BusDevice, waiting patience: UInt64) throws(SystemError) -> any OpenObject {
    try SerialObject(
      device, baud: 9600, parity: .none, stopBits: 1,
      operations: BusSpecification(device: .simulated(.uartA)).operations, patience: patience)
  }

  /// A hid object on a device that was found to be one.
  package static func hid(_ device: BusDevice) -> any OpenObject {
    HIDObject(device, operations: BusSpecification(device: .hid(path: device.path)).operations)
  }

  /// A usb object on a device that was found to be one.
  package static func usb(_ device: BusDevice) -> any OpenObject { USBObject(device) }

  /// - Parameter root: where PCI devices are listed.
  package static func openPCI(
    address: String, region: BusSpecification.PCIRegion, root: String = PCIRegion.systemRoot
  ) throws(SystemError) -> any OpenObject {
    switch region {
    case .config: PCIObject(try PCIRegion(address: address, bar: nil, root: root))
    case .bar(let number): PCIObject(try PCIRegion(address: address, bar: number, root: root))
    }
  }

  private static func open(_ device: SimulatedDevice, _ simulation: SimulatedBuses, _ operations: OperationSet)
    throws(SystemError) -> any OpenObject
  {
    switch device {
    case .registerFile:
      return try i2c(BusDevice(.i2c, of: simulation), address: SimulatedBuses.registersAddress)
    case .eeprom:
      return try i2c(BusDevice(.i2c, of: simulation), address: SimulatedBuses.eepromAddress)
    case .temperatureSensor:
      return try i2c(BusDevice(.i2c, of: simulation), address: SimulatedBuses.temperatureSensorAddress)
    case .spiLoopback:
      return try SPIObject(BusDevice(.spi, of: simulation), mode: 0, speed: 1_000_000, bits: 8)
    case .gpioChip:
      // All lines: the even ones drive, the odd ones follow and tell their edges.
      return try GPIOObject(
        BusDevice(.gpio, of: simulation), lines: Array(0..<SimulatedBuses.gpioLines), outputs: 0x55, edge: .both,
        operations: operations)
    case .uartA:
      return try SerialObject(
        BusDevice(.uartA, of: simulation), baud: 115200, parity: .none, stopBits: 1, operations: operations)
    case .uartB:
      return try SerialObject(
        BusDevice(.uartB, of: simulation), baud: 115200, parity: .none, stopBits: 1, operations: operations)
    }
  }
}

import Authority
import Instructions
import Linux
import Synchronization

/// One device on an SPI bus, with mode, clock and bits per word of the definition.
///
/// transfer: one chip select in which the payload goes out, then `length` zero bytes; what comes in meanwhile is read, and
/// the result counts it. Neither: EINVAL.
final class SPIObject: DeviceOperations {
  let device: BusDevice
  private let mode: UInt8
  private let speed: UInt32
  private let bits: UInt8
  private let line: Line

  /// - Throws: ENOTTY or EINVAL where the device does not take the settings.
  init(_ device: BusDevice, mode: UInt8, speed: UInt32, bits: UInt8) throws(SystemError) {
    line = Self.line(of: device.identity)
    try line.use { () throws(SystemError) in try device.spiConfigure(mode: mode, speed: speed, bits: bits) }
    self.device = device
    self.mode = mode
    self.speed = speed
    self.bits = bits
  }

  let recalled = RecallMark()
  let operations = OperationSet(.transfer)

  func execute(
    _ instruction: Instruction, range: ByteRange?, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64 {
    let count = try instruction.operands.wanted(room: output.freeCapacity, atMost: Int(UInt16.max))
    let outgoing = payload.copiedBytes + [UInt8](repeating: 0, count: count)
    // spidev keeps the settings with the device and not with who opened it: another object of the same device has
    // perhaps made them its own.
    let incoming = try line.use { () throws(SystemError) in
      try device.spiConfigure(mode: mode, speed: speed, bits: bits)
      return try device.spiExchange(outgoing)
    }
    for byte in incoming.dropFirst(payload.byteCount) { output.append(byte) }
    return UInt64(count)
  }

  /// Keeps settings and transfer of one device together.
  private final class Line: Sendable {
    private let turn = Mutex(())

    func use<Value: Sendable>(_ body: () throws(SystemError) -> Value) throws(SystemError) -> Value {
      try turn.withLock { (_) throws(SystemError) in try body() }
    }
  }

  /// As many as there are devices; none is given up.
  private static let lines = Mutex<[BusDevice.FileIdentityNumbers: Line]>([:])

  private static func line(of device: BusDevice.FileIdentityNumbers) -> Line {
    lines.withLock { lines in
      if let known = lines[device] { return known }
      let line = Line()
      lines[device] = line
      return line
    }
  }
}

import Authority
import Glibc
import Instructions
import Linux

/// One slave on a two-wire bus. The address comes from the definition, never from the application.
///
/// transfer: the payload is written, then `length` bytes are read after a repeated START; the result counts the bytes
/// read. Neither: the address alone is sent (acknowledge polling). At most 8,192 bytes each way, else EINVAL.
///
/// An adapter that only has SMBus commands, as those of PC chipsets, does what one of them does (`SMBusCommand`: up to 32
/// bytes behind a first one); EOPNOTSUPP for everything else.
final class I2CObject: DeviceOperations {
  let device: BusDevice
  private let address: UInt16
  private let functions: I2CFunctions

  /// - Throws: EINVAL for an address that neither 7 nor 10 bits hold, ENOTTY where the device is no adapter, EOPNOTSUPP
  ///   where it has neither messages nor commands; on an adapter without messages EBUSY for a slave that a driver of the
  ///   kernel serves.
  init(_ device: BusDevice, address: UInt16) throws(SystemError) {
    guard address <= 0x3ff else { throw .invalid }
    functions = try device.i2cFunctions()
    if !functions.contains(.messages) {
      guard !functions.isDisjoint(with: .commands) else {
        throw SystemError(errno: EOPNOTSUPP, operation: "ioctl(I2C_FUNCS)", path: device.path)
      }
      try device.i2cSelect(address: address)
    }
    self.device = device
    self.address = address
  }

  let recalled = RecallMark()
  let operations = OperationSet(.transfer)
  /// Slaves on one bus are different parts of it, as the addresses are.
  var footprint: Footprint? { Footprint(device, range: ByteRange(offset: UInt64(address), length: 1)) }

  func execute(
    _ instruction: Instruction, range: ByteRange?, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64 {
    let count = try instruction.operands.wanted(room: output.freeCapacity)
    if functions.contains(.messages) {
      try device.i2cTransfer(address: address, write: payload, read: count, into: &output)
    } else {
      try device.smbusTransfer(write: payload, read: count, functions: functions, into: &output)
    }
    return UInt64(count)
  }
}

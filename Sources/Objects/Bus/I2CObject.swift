import Authority
import Instructions
import Linux

/// One slave on a two-wire bus. The address comes from the definition, never from the application.
///
/// transfer: the payload is written, then `length` bytes are read after a repeated START; the result counts the bytes
/// read. Neither: the address alone is sent (acknowledge polling). At most 8,192 bytes each way, else EINVAL.
final class I2CObject: DeviceOperations {
  let device: BusDevice
  private let address: UInt16

  /// - Throws: EINVAL for an address that neither 7 nor 10 bits hold.
  init(_ device: BusDevice, address: UInt16) throws(SystemError) {
    guard address <= 0x3ff else { throw .invalid }
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
    try device.i2cTransfer(address: address, write: payload, read: count, into: &output)
    return UInt64(count)
  }
}

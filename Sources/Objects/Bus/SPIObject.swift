import Authority
import Instructions
import Linux

/// One device on an SPI bus; mode, clock and bits per word are set when it is opened.
///
/// transfer: one chip select in which the payload goes out, then `length` zero bytes; what comes in meanwhile is read, and
/// the result counts it. Neither: EINVAL.
final class SPIObject: DeviceOperations {
  let device: BusDevice

  init(_ device: BusDevice, mode: UInt8, speed: UInt32, bits: UInt8) throws(SystemError) {
    try device.spiConfigure(mode: mode, speed: speed, bits: bits)
    self.device = device
  }

  let recalled = RecallMark()
  let operations = OperationSet(.transfer)

  func execute(
    _ instruction: Instruction, range: ByteRange?, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64 {
    let count = try instruction.operands.wanted(room: output.freeCapacity)
    try device.spiTransfer(write: payload, read: count, into: &output)
    return UInt64(count)
  }
}

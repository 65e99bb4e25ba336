import Authority
import Instructions
import Linux

/// A device of usbfs; control only: the requests of `BusControl` on `usb`.
final class USBObject: DeviceOperations {
  let device: BusDevice

  init(_ device: BusDevice) {
    self.device = device
  }

  let recalled = RecallMark()
  let operations = OperationSet(.control)

  func execute(
    _ instruction: Instruction, range: ByteRange?, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64 {
    try device.control(instruction, on: .usb, payload: payload, into: &output)
  }
}

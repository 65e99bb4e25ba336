import Authority
import Instructions
import Linux

extension BusDevice {
  /// A USB transfer that nobody answers ends after this.
  static let usbMilliseconds: UInt32 = 1000
  /// Bytes of one bulk transfer.
  static let usbBulkLimit = 65536

  /// Passes a control request on, its payload copied into memory of ours; EINVAL where it is not in the table or the
  /// payload has not exactly the request's size.
  ///
  /// A caller with one buffer for both ways, as ioctl(2) has it, sends that buffer where the request takes nothing, or
  /// less: what the kernel only writes may come along, and is not looked at.
  ///
  /// - Returns: what ioctl(2) returned.
  func control(
    _ instruction: Instruction, on bus: BusControl.Bus, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64 {
    guard let request = BusControl(request: instruction.operands.request, on: bus) else { throw .invalid }
    let bytes = payload.copiedBytes
    let result: Int
    switch request.argument {
    case .none:
      guard bytes.isEmpty else { throw .invalid }
      result = try control(request.request, value: 0)
    case .value:
      guard bytes.count == 4 else { throw .invalid }
      result = try control(request.request, value: bytes.littleEndian(at: 0))
    case .structure(let size, let isInput, let isOutput):
      guard bytes.count == size || (!isInput && bytes.isEmpty) else { throw .invalid }
      result = try control(
        request.request, size: size, input: isInput ? bytes : [], isOutput: isOutput, into: &output)
    case .usbControl:
      guard let setup = USBSetup(payload: bytes) else { throw .invalid }
      result = try usbControl(
        setup, data: setup.isIn ? [] : Array(bytes.dropFirst(8)), milliseconds: Self.usbMilliseconds, into: &output)
    case .usbBulk:
      guard bytes.count >= 8 else { throw .invalid }
      let length: UInt32 = bytes.littleEndian(at: 4)
      guard length <= Self.usbBulkLimit else { throw .invalid }
      let endpoint: UInt32 = bytes.littleEndian(at: 0)
      result = try usbBulk(
        endpoint: endpoint, length: Int(length), data: endpoint & 0x80 != 0 ? [] : Array(bytes.dropFirst(8)),
        milliseconds: Self.usbMilliseconds, into: &output)
    }
    return UInt64(result)
  }
}

extension USBSetup {
  /// The first 8 bytes as the USB specification lays them out; nil where there are fewer, or where the data on the way
  /// out behind them is not what the packet announces.
  package init?(payload bytes: [UInt8]) {
    guard bytes.count >= 8 else { return nil }
    self.init(
      requestType: bytes[0], request: bytes[1], value: bytes.littleEndian(at: 2), index: bytes.littleEndian(at: 4),
      length: bytes.littleEndian(at: 6))
    guard isIn || bytes.count - 8 == Int(length) else { return nil }
  }
}

extension [UInt8] {
  func littleEndian<Number: FixedWidthInteger>(at offset: Int) -> Number {
    (0..<Number.bitWidth / 8).reduce(0) { $0 | Number(self[offset + $1]) << (8 * $1) }
  }
}

import Authority
import Glibc
import Instructions
import Linux

extension SocketObject {
  /// Bytes of an option's value.
  static let optionLimit = 256

  func getOption(_ operands: Operands, into output: inout OutputRawSpan) throws(SystemError) -> Effect {
    let option = OptionNumber(operands.request)
    guard option.isPlain else { return .failed(errno: ENOPROTOOPT) }
    let limit = operands.length == 0 ? Self.optionLimit : min(Int(clamping: operands.length), Self.optionLimit)
    let count = try descriptor.getOption(level: option.level, name: option.name, upTo: limit, into: &output)
    return .done(UInt64(count))
  }

  func setOption(_ operands: Operands, _ value: RawSpan) throws(SystemError) -> Effect {
    let option = OptionNumber(operands.request)
    guard option.isPlain else { return .failed(errno: ENOPROTOOPT) }
    guard value.byteCount <= Self.optionLimit else { return .failed(errno: EINVAL) }
    try descriptor.setOption(level: option.level, name: option.name, to: value)
    return .done(0)
  }
}

/// A socket option's numbers, `level << 16 | name` in an instruction.
struct OptionNumber: Sendable {
  var level: Int32
  var name: Int32
  /// Whether the option's value means the same in the broker as in the application.
  var isPlain: Bool

  init(_ request: UInt32) {
    let (level, option) = (UInt16(request >> 16), UInt16(request & 0xffff))
    self.level = Int32(level)
    name = Int32(option)
    isPlain = SocketOption.isPassedOn(level: level, option: option)
  }
}

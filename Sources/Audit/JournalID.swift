/// 16 random bytes that name a journal, or a chain of keys in one.
public struct JournalID: Sendable, Hashable {
  public var high: UInt64
  public var low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  public static func random() -> JournalID {
    JournalID(high: UInt64.random(in: 0...UInt64.max), low: UInt64.random(in: 0...UInt64.max))
  }

  init(_ bytes: Span<UInt8>, at offset: Int) {
    high = littleEndian64(bytes, at: offset).byteSwapped
    low = littleEndian64(bytes, at: offset + 8).byteSwapped
  }

  /// In the order in which they are written.
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendLittleEndian(high.byteSwapped)
    bytes.appendLittleEndian(low.byteSwapped)
    return bytes
  }

  /// 32 hexadecimal digits.
  public var text: String { Hexadecimal.text(bytes) }

  /// nil: not 32 hexadecimal digits.
  public init?(text: some StringProtocol) {
    guard let bytes = Hexadecimal.bytes(text), bytes.count == 16 else { return nil }
    self.init(bytes.span, at: 0)
  }
}

/// Bytes as pairs of small hexadecimal digits.
enum Hexadecimal {
  static func text(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.flatMap { [hexDigit($0 >> 4), hexDigit($0)] }, as: UTF8.self)
  }

  /// nil: something else stands there.
  static func bytes(_ text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in text.utf8 {
      let value: UInt8
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    return high == nil ? bytes : nil
  }
}

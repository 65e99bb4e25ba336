/// Sees where a JSON object that comes in pieces ends, without looking at a byte twice. Whether it is JSON is a
/// `JSONReader`'s to say.
struct JSONExtent {
  enum State: Hashable {
    case incomplete
    case complete
    case notAnObject
  }

  private var depth = 0
  private var inString = false
  private var afterBackslash = false
  private var state = State.incomplete

  /// Looks at the next bytes. What follows the object is not looked at.
  mutating func take(_ bytes: some Sequence<UInt8>) -> State {
    for byte in bytes {
      guard state == .incomplete else { break }
      take(byte)
    }
    return state
  }

  private mutating func take(_ byte: UInt8) {
    if inString {
      if afterBackslash {
        afterBackslash = false
      } else if byte == UInt8(ascii: "\\") {
        afterBackslash = true
      } else if byte == UInt8(ascii: "\"") {
        inString = false
      }
      return
    }
    switch byte {
    case UInt8(ascii: "{"): depth += 1
    case 0x20, 0x0A, 0x0D, 0x09: break
    case _ where depth == 0: state = .notAnObject
    case UInt8(ascii: "["): depth += 1
    case UInt8(ascii: "}"), UInt8(ascii: "]"):
      depth -= 1
      if depth == 0 { state = .complete }
    case UInt8(ascii: "\""): inString = true
    default: break
    }
  }
}

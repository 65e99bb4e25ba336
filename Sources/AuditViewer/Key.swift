/// What a person pressed.
public enum Key: Sendable, Hashable {
  case text(Unicode.Scalar)
  /// With Ctrl, the letter in lower case.
  case control(Unicode.Scalar)
  case up, down, left, right
  case pageUp, pageDown, home, end
  case enter, escape, tab, backspace
}

/// Turns the bytes of a terminal into keys (console_codes(4), xterm's control sequences); bytes may be split anywhere.
public struct KeyDecoder: Sendable {
  private var pending: [UInt8] = []

  public init() {}

  /// Whether an escape character waits for what may follow it: `flush` after a moment without bytes.
  public var isWaiting: Bool { !pending.isEmpty }

  /// An escape character that nothing followed is the key.
  public mutating func flush() -> [Key] {
    defer { pending = [] }
    return pending == [0x1B] ? [.escape] : []
  }

  public mutating func take(_ bytes: [UInt8]) -> [Key] {
    pending += bytes
    var keys: [Key] = []
    var rest = pending[...]
    loop: while let first = rest.first {
      switch first {
      case 0x1B:
        switch Self.sequence(rest) {
        case .incomplete: break loop
        case .found(let key, let length):
          if let key { keys.append(key) }
          rest = rest.dropFirst(length)
        }
      case 0x0D, 0x0A:
        keys.append(.enter)
        rest = rest.dropFirst()
      case 0x09:
        keys.append(.tab)
        rest = rest.dropFirst()
      case 0x7F, 0x08:
        keys.append(.backspace)
        rest = rest.dropFirst()
      case 0..<0x20:
        if first >= 1, first <= 26 { keys.append(.control(Unicode.Scalar(first + 0x60))) }
        rest = rest.dropFirst()
      default:
        let length = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1
        guard rest.count >= length else { break loop }
        if let text = String(validating: rest.prefix(length), as: UTF8.self), let scalar = text.unicodeScalars.first {
          keys.append(.text(scalar))
          rest = rest.dropFirst(length)
        } else {
          rest = rest.dropFirst()
        }
      }
    }
    // No sequence is so long: a terminal that never ends one is not waited for.
    pending = rest.count > 32 ? [] : Array(rest)
    return keys
  }

  private enum Sequence {
    case incomplete
    /// nil: one that means nothing here.
    case found(Key?, length: Int)
  }

  private static func sequence(_ bytes: ArraySlice<UInt8>) -> Sequence {
    let bytes = Array(bytes)
    guard bytes.count > 1 else { return .incomplete }
    if bytes[1] == UInt8(ascii: "O") {
      guard bytes.count > 2 else { return .incomplete }
      return .found(letter(bytes[2]), length: 3)
    }
    // Alt with a key, or the key pressed twice.
    guard bytes[1] == UInt8(ascii: "[") else { return .found(.escape, length: 1) }
    guard let end = bytes.dropFirst(2).firstIndex(where: { (0x40...0x7E).contains($0) }) else { return .incomplete }
    let parameters = bytes[2..<end].split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
    guard bytes[end] == UInt8(ascii: "~") else { return .found(letter(bytes[end]), length: end + 1) }
    let key: Key? =
      switch Int(String(decoding: parameters.first ?? [], as: UTF8.self)) {
      case 1, 7: .home
      case 4, 8: .end
      case 5: .pageUp
      case 6: .pageDown
      default: nil
      }
    return .found(key, length: end + 1)
  }

  private static func letter(_ byte: UInt8) -> Key? {
    switch byte {
    case UInt8(ascii: "A"): .up
    case UInt8(ascii: "B"): .down
    case UInt8(ascii: "C"): .right
    case UInt8(ascii: "D"): .left
    case UInt8(ascii: "H"): .home
    case UInt8(ascii: "F"): .end
    case UInt8(ascii: "M"): .enter
    default: nil
    }
  }
}

import ArgumentParser
import Audit
import AuditAnalysis
import Instructions
import Wire

/// How the arguments' texts become values; each error ends with exit code 64 and says what was expected.
enum ArgumentReading {
  /// Empty means "any" on the wire, so an empty name must not pass as a selector.
  static func name(_ text: String) throws -> String {
    guard !text.isEmpty, text.utf8.count <= Bounds.name else {
      throw ValidationError("a name has 1 to \(Bounds.name) bytes")
    }
    return text
  }

  static func path(_ text: String) throws -> String {
    guard text.hasPrefix("/"), text.utf8.count <= Bounds.text else {
      throw ValidationError("expected an absolute path of at most \(Bounds.text) bytes")
    }
    return text
  }

  /// 0 means "any" on the wire, and no process has it.
  static func pid(_ text: String) throws -> UInt32 {
    guard let pid = UInt32(text), pid > 0, pid <= UInt32(Int32.max) else {
      throw ValidationError("expected a process id, 1 or more")
    }
    return pid
  }

  static func association(_ text: String) throws -> AssociationID {
    guard let number = UInt64(text) else { throw ValidationError("expected an association's number") }
    return AssociationID(rawValue: number)
  }

  static func operation(_ text: String) throws -> Opcode {
    guard let opcode = Opcode(name: text) else {
      throw ValidationError("expected one of \(Opcode.allCases.map(\.name).joined(separator: ", "))")
    }
    return opcode
  }

  static func operations(_ text: String) throws -> OperationSet {
    var set: OperationSet = []
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      set.insert(OperationSet(try operation(String(word))))
    }
    return set
  }

  static func reason(_ text: String) throws -> Reason {
    guard let reason = Reason(name: text) else {
      throw ValidationError("expected one of \(Reason.allCases.map(\.name).joined(separator: ", "))")
    }
    return reason
  }

  static func verdict(_ text: String) throws -> AuditVerdict {
    try one(of: AuditVerdict.allCases, text) { $0.rawValue }
  }

  static func kind(_ text: String) throws -> AuditKind { try one(of: AuditKind.allCases, text) { $0.name } }

  static func operationPath(_ text: String) throws -> OperationPath {
    try one(of: OperationPath.allCases, text) { $0.name }
  }

  static func statisticsKeys(_ text: String) throws -> [StatisticsKey] {
    var keys: [StatisticsKey] = []
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      let key = try one(of: StatisticsKey.allCases, String(word)) { $0.rawValue }
      if !keys.contains(key) { keys.append(key) }
    }
    return keys
  }

  private static func one<Value>(of all: [Value], _ text: String, _ name: (Value) -> String) throws -> Value {
    guard let found = all.first(where: { name($0) == text }) else {
      throw ValidationError("expected one of \(all.map(name).joined(separator: ", "))")
    }
    return found
  }

  /// The number that `audit list` shows first.
  static func sequence(_ text: String) throws -> UInt64 {
    guard let number = UInt64(text), number > 0, number < .max else {
      throw ValidationError("expected a record's sequence number, as `audit list` shows it")
    }
    return number
  }

  /// Bytes: `512`, `0x200`, `64KiB`, `10GiB`.
  static func byteCount(_ text: String) throws -> UInt64 {
    let units: [(String, UInt64)] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)]
    for (unit, shift) in units where text.hasSuffix(unit) {
      if let number = UInt64(text.dropLast(unit.count)), number <= UInt64.max >> shift { return number << shift }
    }
    if text.hasPrefix("0x"), let number = UInt64(text.dropFirst(2), radix: 16), !text.contains("+") { return number }
    guard let number = UInt64(text), !text.hasPrefix("+") else {
      throw ValidationError("expected a number of bytes such as 512, 0x200 or 64KiB")
    }
    return number
  }

  static func count(_ text: String) throws -> UInt32 {
    guard let number = UInt32(text), number > 0 else { throw ValidationError("expected a number, 1 or more") }
    return number
  }

  /// `7-12`, or one number.
  static func numbers(_ text: String) throws -> ClosedRange<UInt64> {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard let first = parts.first.flatMap({ UInt64($0) }), let last = parts.last.flatMap({ UInt64($0) }),
      parts.count <= 2, first > 0, first <= last
    else { throw ValidationError("expected numbers of records such as 7-12") }
    return first...last
  }

  /// Bytes as pairs of hexadecimal digits: `0a1b`; an `0x` before and spaces, colons between are allowed.
  static func hexadecimal(_ text: String) throws -> [UInt8] {
    var digits: [UInt8] = []
    for character in text.hasPrefix("0x") ? text.dropFirst(2) : Substring(text) {
      if character == " " || character == ":" { continue }
      guard let digit = character.hexDigitValue, character.isASCII else {
        throw ValidationError("expected bytes as pairs of hexadecimal digits such as 0a1b")
      }
      digits.append(UInt8(digit))
    }
    guard digits.count.isMultiple(of: 2) else { throw ValidationError("expected an even number of digits") }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  /// Seconds, `2` or `0.5`, as milliseconds.
  static func timeout(_ text: String) throws -> UInt32 {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let fraction = parts.count == 2 ? String(parts[1].prefix(3)) : "0"
    guard text.utf8.allSatisfy({ ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2E }),
      let whole = parts.first.flatMap({ UInt64($0) }),
      let thousandths = UInt64(fraction + String(repeating: "0", count: 3 - fraction.count)),
      let milliseconds = UInt32(exactly: min(whole, UInt64(UInt32.max)) * 1000 + thousandths)
    else { throw ValidationError("expected seconds such as 1 or 0.5, at most \(UInt32.max / 1000)") }
    return milliseconds
  }

  /// `30s`, `15m`, `8h`, `90d`, as seconds.
  static func duration(_ text: String) throws -> UInt64 {
    let units: [Character: UInt64] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
    guard let unit = text.last.flatMap({ units[$0] }), let number = UInt64(text.dropLast()), number > 0,
      !text.hasPrefix("+"), number <= UInt64.max / 1_000_000_000 / unit
    else { throw ValidationError("expected a duration such as 30s, 15m, 8h or 90d") }
    return number * unit
  }

  /// A moment, or one so long ago.
  static func moment(_ text: String) throws -> Moment {
    if let time = Timestamp.parse(text) { return .at(time) }
    guard let ago = try? duration(text) else {
      throw ValidationError("expected a time such as 2026-02-01T12:00:00Z, or how long ago: 30s, 15m, 8h, 90d")
    }
    return .ago(ago)
  }
}

/// A moment as `--since` and `--until` name it.
enum Moment: Sendable, Hashable {
  /// Unix time, nanoseconds.
  case at(UInt64)
  /// Seconds before now.
  case ago(UInt64)

  func nanoseconds(now: UInt64) -> UInt64 {
    switch self {
    case .at(let time): time
    case .ago(let seconds): now - min(now, seconds * 1_000_000_000)
    }
  }
}

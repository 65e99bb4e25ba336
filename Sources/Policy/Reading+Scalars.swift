import Authority
import Instructions
import Yams

/// What a scalar means is decided here, by the key that it stands under: never by what YAML would make of it.
extension Reading {
  func boolean(_ entry: Entry?) -> Bool? {
    guard let entry, let text = text(entry.value, expected: "true or false") else { return nil }
    switch text {
    case "true": return true
    case "false": return false
    default:
      error(place(entry.value), "\"\(text)\" is no truth value; expected true or false")
      return nil
    }
  }

  /// One of `words`; the value that goes with it.
  func word<Value>(_ entry: Entry?, _ words: KeyValuePairs<String, Value>) -> Value? {
    let names = words.map(\.key)
    guard let entry, let text = text(entry.value, expected: names.joined(separator: ", ")) else { return nil }
    if let found = words.first(where: { $0.key == text }) { return found.value }
    error(place(entry.value), "\"\(text)\" is not known for \(entry.name); \(suggestion(for: text, among: names))")
    return nil
  }

  /// Decimal without a leading zero, or hexadecimal after `0x`: never YAML's octal.
  func number(_ entry: Entry?, in range: ClosedRange<UInt64>) -> UInt64? {
    guard let entry else { return nil }
    return number(entry.value, name: entry.name, in: range)
  }

  func number(_ node: Node, name: String, in range: ClosedRange<UInt64>) -> UInt64? {
    let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
    guard let text = text(node, expected: expected) else { return nil }
    switch wholeNumber(text) {
    case .value(let number) where range.contains(number): return number
    case .value, .tooLarge: error(place(node), "\(text) is out of range for \(name); expected \(expected)")
    case .leadingZero:
      error(place(node), "\"\(text)\" is ambiguous; expected \(expected), decimal without a leading zero, or after 0x")
    case .notANumber: error(place(node), "\"\(text)\" is not a number; expected \(expected)")
    }
    return nil
  }

  /// Seconds from `30s`, `15m`, `8h`, `90d`.
  func duration(_ entry: Entry?) -> UInt64? {
    quantity(
      entry, units: [("s", 1), ("m", 60), ("h", 3600), ("d", 86400)],
      expected: "a duration such as 30s, 15m, 8h or 90d", unitRequired: true)
  }

  /// Bytes from `512`, `64KiB`, `10GiB`.
  func size(_ entry: Entry?) -> UInt64? {
    quantity(
      entry, units: [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)],
      expected: "a size in bytes such as 512, 64KiB or 10GiB", unitRequired: false)
  }

  private func quantity(
    _ entry: Entry?, units: [(String, UInt64)], expected: String, unitRequired: Bool
  ) -> UInt64? {
    guard let entry, let text = text(entry.value, expected: expected) else { return nil }
    let unit = units.first { text.hasSuffix($0.0) }
    let digits = unit.map { String(text.dropLast($0.0.count)) } ?? text
    if unit == nil, unitRequired, text != "0", case .value = wholeNumber(text) {
      error(place(entry.value), "\"\(text)\" has no unit; expected \(expected)")
      return nil
    }
    // A hexadecimal number takes no unit: 0x1d would be two things.
    let hexadecimal = digits.hasPrefix("0x")
    switch wholeNumber(digits) {
    case .value(let number) where !(hexadecimal && unit != nil):
      let (product, overflow) = number.multipliedReportingOverflow(by: unit?.1 ?? 1)
      if !overflow, product <= UInt64(Int64.max) { return product }
      error(place(entry.value), "\(text) is too large; expected \(expected)")
    case .tooLarge: error(place(entry.value), "\(text) is too large; expected \(expected)")
    case .value, .leadingZero, .notANumber:
      error(
        place(entry.value),
        "\"\(text)\" is not \(expected.hasPrefix("a size") ? "a size" : "a duration"); expected \(expected)")
    }
    return nil
  }

  /// An absolute path without `.`, `..`, empty components or a slash at its end, so that it can be compared.
  func path(_ entry: Entry?, expected: String = "an absolute path") -> String? {
    guard let entry, let text = text(entry.value, expected: expected) else { return nil }
    return isPlainPath(text, at: place(entry.value), expected: expected) ? text : nil
  }

  func isPlainPath(_ text: String, at place: Place, expected: String) -> Bool {
    guard text.hasPrefix("/") else {
      error(place, "\"\(text)\" is not absolute; expected \(expected)")
      return false
    }
    guard text.utf8.count < 4096, !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
      error(place, "the path is too long or holds a control character; expected \(expected)")
      return false
    }
    let components = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    guard text == "/" || components.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
      error(place, "\"\(text)\" has an empty, \".\" or \"..\" component; expected \(expected) without them")
      return false
    }
    return true
  }

  /// A path of an object: what the broker must never hand out is a mistake.
  func objectPath(_ entry: Entry?) -> String? {
    guard let entry, let path = path(entry) else { return nil }
    return isBrokerable(path, at: place(entry.value)) ? path : nil
  }

  func isBrokerable(_ path: String, at place: Place) -> Bool {
    let never = [
      "/dev/mem", "/dev/kmem", "/dev/port", "/proc", "/dev/fd", "/sys/fs/bpf", "/run/postern", "/var/lib/postern",
    ]
    guard let owner = (never + forbiddenPaths).first(where: { path == $0 || path.hasPrefix("\($0)/") }) else {
      return true
    }
    error(place, "\"\(path)\" is never brokered: \(owner) would give away the machine or the broker itself")
    return false
  }

  /// Text for people: one line, not long.
  func message(_ entry: Entry?) -> String? {
    guard let entry, let text = text(entry.value, expected: "a text of one line") else { return nil }
    // A block scalar (`|`, `>`) ends with a line break.
    let line = text.last == "\n" ? String(text.dropLast()) : text
    guard line.utf8.count <= 512 else {
      error(place(entry.value), "the message has \(line.utf8.count) bytes; expected at most 512")
      return nil
    }
    guard !line.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }) else {
      error(place(entry.value), "the message holds a control character; expected a text of one line")
      return nil
    }
    return line
  }

  func user(_ entry: Entry?) -> NamedID? { account(entry, "user") { directory.userID(named: $0) } }
  func group(_ entry: Entry?) -> NamedID? { account(entry, "group") { directory.groupID(named: $0) } }

  private func account(_ entry: Entry?, _ what: String, _ lookUp: (String) -> UInt32?) -> NamedID? {
    guard let entry, let text = text(entry.value, expected: "the name or number of a \(what)") else { return nil }
    if case .value(let number) = wholeNumber(text), !text.hasPrefix("0x") {
      // The last number stands for "unchanged" in chown(2) and setreuid(2).
      guard number < UInt64(UInt32.max) else {
        error(place(entry.value), "\(text) is out of range; expected a \(what) number below \(UInt32.max)")
        return nil
      }
      return NamedID(name: text, id: UInt32(number))
    }
    if let id = lookUp(text) { return NamedID(name: text, id: id) }
    error(
      place(entry.value), "there is no \(what) \"\(text)\" on this machine; expected the name or number of a \(what)")
    return nil
  }

  /// Names of objects and applications: they go into command lines, journals and lists.
  func isName(_ entry: Entry, of what: String) -> Bool {
    let allowed = entry.name.unicodeScalars.allSatisfy { $0.isWordScalar || $0 == "." }
    let first = entry.name.unicodeScalars.first.map { $0.isWordScalar && $0 != "-" } ?? false
    if allowed, first, entry.name.utf8.count <= 64 { return true }
    error(
      entry.place,
      "\"\(entry.name)\" is no name for \(what); expected up to 64 letters, digits, dots, - and _, not starting with . or -"
    )
    return false
  }

  func require(_ fields: Fields, _ keys: [String], of subject: String) {
    for key in keys where fields[key] == nil {
      error(fields.place, "\(subject) needs the key \"\(key)\"")
    }
  }
}

enum WholeNumber: Equatable {
  case value(UInt64)
  case tooLarge
  case leadingZero
  case notANumber
}

/// Digits, or hexadecimal digits after `0x`, and nothing else: no sign, no underscore, no octal.
func wholeNumber(_ text: String) -> WholeNumber {
  let hexadecimal = text.hasPrefix("0x")
  let digits = hexadecimal ? text.dropFirst(2) : text[...]
  guard !digits.isEmpty else { return .notANumber }
  var value: UInt64 = 0
  var overflow = false
  for scalar in digits.unicodeScalars {
    let digit: UInt64
    switch scalar {
    case "0"..."9": digit = UInt64(scalar.value - 48)
    case "a"..."f" where hexadecimal: digit = UInt64(scalar.value - 87)
    case "A"..."F" where hexadecimal: digit = UInt64(scalar.value - 55)
    default: return .notANumber
    }
    let (shifted, first) = value.multipliedReportingOverflow(by: hexadecimal ? 16 : 10)
    let (sum, second) = shifted.addingReportingOverflow(digit)
    overflow = overflow || first || second
    value = sum
  }
  if !hexadecimal, digits.count > 1, digits.hasPrefix("0") { return .leadingZero }
  return overflow ? .tooLarge : .value(value)
}

/// A JSON value to be printed (RFC 8259); objects keep the order they are written in.
enum JSON: Sendable, Hashable {
  case null
  case bool(Bool)
  case number(Int64)
  case unsigned(UInt64)
  case string(String)
  case array([JSON])
  case object([Member])

  struct Member: Sendable, Hashable {
    var key: String
    var value: JSON
  }

  static func object(_ members: KeyValuePairs<String, JSON>) -> JSON {
    .object(members.map { Member(key: $0.key, value: $0.value) })
  }

  /// A list of words.
  static func strings(_ words: [String]) -> JSON { .array(words.map { .string($0) }) }

  /// A string, or null for the empty one.
  static func text(_ text: String) -> JSON { text.isEmpty ? .null : .string(text) }

  /// On one line, without a line end.
  var line: String {
    var text = ""
    append(to: &text)
    return text
  }

  private func append(to text: inout String) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let value): text += String(value)
    case .unsigned(let value): text += String(value)
    case .string(let value): JSON.append(value, to: &text)
    case .array(let values):
      text += "["
      for (index, value) in values.enumerated() {
        if index > 0 { text += "," }
        value.append(to: &text)
      }
      text += "]"
    case .object(let members):
      text += "{"
      for (index, member) in members.enumerated() {
        if index > 0 { text += "," }
        JSON.append(member.key, to: &text)
        text += ":"
        member.value.append(to: &text)
      }
      text += "}"
    }
  }

  private static func append(_ value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      // Printed JSON is looked at in terminals too: whatever could move a cursor or turn a line around is escaped.
      case _ where scalar.isUnsafeOnTerminals:
        var unit = [UInt16]()
        unit.append(contentsOf: String(scalar).utf16)
        for code in unit { text += "\\u" + hexadecimal(code) }
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }

  private static func hexadecimal(_ code: UInt16) -> String {
    let digits = String(code, radix: 16)
    return String(repeating: "0", count: 4 - digits.count) + digits
  }
}

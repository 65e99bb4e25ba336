/// A place in a policy file; line and column start at 1, columns count Unicode scalars.
public struct PolicyPlace: Sendable, Hashable {
  public var file: String
  public var line: Int
  public var column: Int

  public init(file: String, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }

  /// `FILE:L:C`, for another place's text.
  var description: String { "\(file):\(line):\(column)" }
}

/// One thing that is wrong or doubtful in a policy file, and what was expected.
public struct PolicyMistake: Error, Sendable, Hashable {
  public enum Severity: String, Sendable, Hashable {
    case error
    case warning
  }

  public var place: PolicyPlace
  public var severity: Severity
  public var text: String

  public init(place: PolicyPlace, severity: Severity, text: String) {
    self.place = place
    self.severity = severity
    self.text = text
  }

  /// `FILE:L:C: error: text`, one line whatever the file holds: control and direction-changing characters are escaped.
  public var line: String { escaped("\(place.description): \(severity.rawValue): \(text)") }
}

/// The text with every character that could move a terminal's cursor or reorder a line written as `\u{HEX}`.
func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar.value {
    case 0...0x1F, 0x7F...0x9F, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
      result += "\\u{\(String(scalar.value, radix: 16))}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}

import Audit

extension String {
  /// One line that shows every character and obeys none: names and messages come from others.
  var escapedForTerminal: String { ByteString(self).escaped }
}

/// Emphasis for people at a terminal; nothing anywhere else.
enum Style: String {
  case plain = ""
  case bold = "1"
  case good = "32"
  case bad = "31"
  case doubtful = "33"

  /// `text` between the escape sequences of ECMA-48 (console_codes(4)), or as it is.
  func apply(to text: String, coloured: Bool) -> String {
    coloured && self != .plain ? "\u{1B}[\(rawValue)m\(text)\u{1B}[0m" : text
  }
}

extension Unicode.Scalar {
  /// Whether a terminal would act on it or reorder what stands around it, rather than show it.
  var isUnsafeOnTerminals: Bool {
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
    default: false
    }
  }
}

extension String {
  /// One line that shows every character and obeys none: names and messages come from others.
  var escapedForTerminal: String {
    var result = ""
    for scalar in unicodeScalars {
      if scalar == "\\" {
        result += "\\\\"
      } else if scalar.isUnsafeOnTerminals {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
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

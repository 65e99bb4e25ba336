extension String {
  /// A scalar that YAML reads as exactly this text (YAML 1.2, double-quoted style).
  public var quotedForPolicy: String {
    var text = "\""
    for scalar in unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case _ where (0x80...0xA0).contains(scalar.value):
        text += "\\x" + String(scalar.value, radix: 16)
      // Line and paragraph separators end lines in YAML; the byte order mark and what reorders text mislead.
      case _ where [0x061C, 0x2028, 0x2029, 0xFEFF].contains(scalar.value) || (0x200E...0x206F).contains(scalar.value):
        text +=
          "\\u" + String(repeating: "0", count: 4 - String(scalar.value, radix: 16).count)
          + String(scalar.value, radix: 16)
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }

  /// Whether a policy can name it (postern.yaml(5)).
  public var isPolicyPath: Bool {
    let components = dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    return hasPrefix("/") && utf8.count < 4096 && !unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
      && components.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
  }

  /// A name that a policy takes: letters, digits, dots, - and _, not starting with . or -, room for a number behind.
  public var policyName: String {
    let allowed = unicodeScalars.map { scalar -> Character in
      switch scalar {
      case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".": Character(scalar)
      default: "_"
      }
    }
    let name = String(allowed.drop { $0 == "." || $0 == "-" }.prefix(56))
    return name.isEmpty ? "unnamed" : name
  }
}

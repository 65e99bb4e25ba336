import Policy
import Wire

/// Mistakes in a policy, printed alike whoever found them: `FILE:L:C: error: text`, on the error stream.
struct Mistakes {
  var rows: [MistakeRow]

  var hasErrors: Bool { rows.contains { $0.severity == .error } }
  var lines: String { rows.map { $0.printed + "\n" }.joined() }
}

extension MistakeRow {
  init(_ mistake: PolicyMistake) {
    self.init(
      file: mistake.place.file, line: UInt32(clamping: mistake.place.line),
      column: UInt32(clamping: mistake.place.column),
      severity: mistake.severity == .error ? .error : .warning, text: mistake.text)
  }

  /// One line for people.
  var printed: String { "\(file):\(line):\(column): \(severity.name): \(text)".escapedForTerminal }

  var json: JSON {
    .object([
      "file": .string(file), "line": .unsigned(UInt64(line)), "column": .unsigned(UInt64(column)),
      "severity": .string(severity.name), "text": .string(text),
    ])
  }
}

extension MistakeRow.Severity {
  var name: String {
    switch self {
    case .error: "error"
    case .warning: "warning"
    }
  }
}

import AuditAnalysis

/// What is told of one record: why, and what would have allowed it.
public struct Detail: Sendable, Hashable {
  public struct Line: Sendable, Hashable {
    public var text: String
    public var style: CellStyle
    /// Columns that its continuation is indented by.
    public var indent: Int
  }

  public let sequence: UInt64
  public private(set) var lines: [Line] = []

  /// - Parameters: escaped lines.
  ///   - diff: of the policy, as `patch` takes it.
  public init(sequence: UInt64, parts: [Explanation.Part], suggestion: [String], diff: [String]) {
    self.sequence = sequence
    let width = max(6, (parts.map(\.title.count).max() ?? 0)) + 2
    // First what one asks for.
    let first = ["record", "what", "why"]
    for part in parts where first.contains(part.title) { add(part, width) }
    if !suggestion.isEmpty || !diff.isEmpty {
      add("", .plain, 0)
      add("what would have allowed exactly this", .accent, 0)
    }
    for line in suggestion { add(line, line.hasPrefix("warning:") ? .doubtful : .plain, 10) }
    for line in diff where !line.isEmpty {
      let style: CellStyle =
        line.hasPrefix("+") ? .good : line.hasPrefix("-") ? .bad : line.hasPrefix("@") ? .accent : .plain
      add(line, style, 2)
    }
    add("", .plain, 0)
    for part in parts where !first.contains(part.title) { add(part, width) }
  }

  /// It could not be found out.
  public init(sequence: UInt64, obstacle: String) {
    self.sequence = sequence
    add(obstacle, .doubtful, 0)
  }

  /// Its title stands before the first line.
  private mutating func add(_ part: Explanation.Part, _ width: Int) {
    for (index, line) in part.lines.enumerated() {
      let title = index == 0 ? part.title : ""
      let style: CellStyle = part.title == "why" ? (index == 0 ? .bad : .strong) : .plain
      add(title + String(repeating: " ", count: width - title.count) + line, style, width)
    }
  }

  private mutating func add(_ text: String, _ style: CellStyle, _ indent: Int) {
    lines.append(Line(text: text, style: style, indent: indent))
  }

  /// The lines in so many columns.
  func wrapped(columns: Int) -> [Line] {
    lines.flatMap { line in
      line.text.wrapped(columns: columns, indent: line.indent).map { Line(text: $0, style: line.style, indent: 0) }
    }
  }
}

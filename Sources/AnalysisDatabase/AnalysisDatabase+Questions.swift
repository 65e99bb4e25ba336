import Analysis
import Audit
import Instructions

extension AnalysisDatabase {
  /// The newest records that match, oldest first; of all journals in the database.
  public func newest(_ count: Int, matching filter: AuditFilter = AuditFilter()) throws(AnalysisError) -> [AuditRecord]
  {
    var found: [AuditRecord] = []
    try target.transaction { (session) throws(AnalysisError) in
      found = try Question(filter).newest(count, session)
    }
    return found.reversed()
  }

  /// How many records that match there were, those included that the retention has removed since.
  public func count(matching filter: AuditFilter = AuditFilter()) throws(AnalysisError) -> Int64 {
    var count: Int64 = 0
    try target.transaction { (session) throws(AnalysisError) in count = try Question(filter).count(session) }
    return count
  }
}

/// A filter as conditions on the tables.
private struct Question {
  private struct Condition {
    var text: String
    var values: [Cell]

    init(text: String, value: Cell) { (self.text, values) = (text, [value]) }

    init(text: String, values: [Cell]) { (self.text, self.values) = (text, values) }
  }

  private let filter: AuditFilter
  /// What counters are kept by.
  private var counted: [Condition] = []
  /// What only records have.
  private var recorded: [Condition] = []

  init(_ filter: AuditFilter) {
    self.filter = filter
    if let kind = filter.kind { counted.append(Condition(text: "kind = ?", value: .text(kind.name))) }
    if let reason = filter.reason { counted.append(Condition(text: "reason = ?", value: .text(reason.name))) }
    if let object = filter.object { counted.append(Condition(text: "object = ?", value: .text(object.escaped))) }
    if let application = filter.application {
      counted.append(Condition(text: "application = ?", value: .text(application.escaped)))
    }
    if let uid = filter.uid { counted.append(Condition(text: "uid = ?", value: Cell(uid))) }
    if let verdict = filter.verdict {
      let kinds = AuditKind.allCases.filter { $0.verdict == verdict }.map { Cell.text($0.name) }
      counted.append(Condition(text: "kind IN (\(marks(kinds.count)))", values: kinds))
    }
    if let path = filter.path { recorded.append(Condition(text: "path = ?", value: .text(path.name))) }
    if let operation = filter.operation {
      recorded.append(Condition(text: "operation = ?", value: .text(operation.name)))
    }
    if let pid = filter.pid { recorded.append(Condition(text: "pid = ?", value: Cell(pid))) }
    if let executable = filter.executable { recorded.append(Question.condition(executable: executable)) }
  }

  /// See `AuditFilter.executable`.
  private static func condition(executable: ByteString) -> Condition {
    let name = executable.escaped
    guard !executable.bytes.contains(UInt8(ascii: "/")) else {
      return Condition(text: "executable = ?", value: .text(name))
    }
    // No file is named so.
    guard !name.isEmpty else { return Condition(text: "1 = 0", values: []) }
    let path = "rtrim(executable, '/')"
    return Condition(
      text: "(\(path) = ? OR substr(\(path), length(\(path)) - \(name.unicodeScalars.count)) = ?)",
      values: [.text(name), .text("/" + name)])
  }

  // MARK: Records

  func newest(_ count: Int, _ session: any AnalysisSession) throws(AnalysisError) -> [AuditRecord] {
    let conditions = counted + recorded + times
    let rows = try session.rows(
      """
      SELECT frame FROM record WHERE \(Question.joined(conditions))
      ORDER BY time DESC, source DESC, sequence DESC LIMIT ?
      """, conditions.flatMap(\.values) + [.integer(Int64(count))])
    var found: [AuditRecord] = []
    for row in rows {
      guard let frame = row[0].string, let bytes = Base64.bytes(frame),
        let record = try? AuditRecord(decoding: bytes)
      else { throw .foreign("a record in the database cannot be read: it was changed, or a newer postern wrote it") }
      found.append(record)
    }
    return found
  }

  // MARK: Counts

  func count(_ session: any AnalysisSession) throws(AnalysisError) -> Int64 {
    let since = filter.since.map { Int64(clamping: $0) } ?? 0
    let until = filter.until.map { Int64(clamping: $0) }
    guard recorded.isEmpty else { return try countRecords(since, until, session) }
    // Whole hours are counted already; records are looked at in what is cut off at both ends.
    let first = since / Entry.hour + (since % Entry.hour == 0 ? 0 : 1)
    let last = until.map { $0 / Entry.hour }
    if let last, last <= first { return try countRecords(since, until, session) }
    var count = try countHours(first, last, session)
    if since < first * Entry.hour { count += try countRecords(since, first * Entry.hour, session) }
    if let last, let until, last * Entry.hour < until { count += try countRecords(last * Entry.hour, until, session) }
    return count
  }

  private func countHours(_ first: Int64, _ last: Int64?, _ session: any AnalysisSession) throws(AnalysisError) -> Int64
  {
    try session.rows(
      "SELECT SUM(count) FROM counter WHERE kind <> ? AND hour >= ? AND hour < ? AND \(Question.joined(counted))",
      [.text("lost"), .integer(first), .integer(last ?? .max)] + counted.flatMap(\.values)
    ).first?.first?.number ?? 0
  }

  private func countRecords(
    _ since: Int64, _ until: Int64?, _ session: any AnalysisSession
  ) throws(AnalysisError) -> Int64 {
    let conditions =
      counted + recorded
      + [
        Condition(text: "time >= ?", value: .integer(since)),
        Condition(text: "time < ?", value: .integer(until ?? .max)),
      ]
    return try session.rows(
      "SELECT COUNT(*) FROM record WHERE \(Question.joined(conditions))", conditions.flatMap(\.values)
    ).first?.first?.number ?? 0
  }

  private var times: [Condition] {
    var conditions: [Condition] = []
    if let since = filter.since {
      conditions.append(Condition(text: "time >= ?", value: .integer(Int64(clamping: since))))
    }
    if let until = filter.until {
      conditions.append(Condition(text: "time < ?", value: .integer(Int64(clamping: until))))
    }
    return conditions
  }

  private static func joined(_ conditions: [Condition]) -> String {
    conditions.isEmpty ? "1 = 1" : conditions.map(\.text).joined(separator: " AND ")
  }
}

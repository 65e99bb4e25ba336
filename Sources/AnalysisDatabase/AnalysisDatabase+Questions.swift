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
  /// The name of a program in any folder, escaped.
  private var program: String?

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
    if let executable = filter.executable, executable.bytes.contains(UInt8(ascii: "/")) {
      recorded.append(Condition(text: "executable = ?", value: .text(executable.escaped)))
    } else {
      program = filter.executable?.escaped
    }
  }

  // MARK: Programs

  /// Conditions of which each record that matches meets one and no other.
  ///
  /// A program's name is the end of a path, which no index knows. There are few different paths as a rule: the index leads
  /// from one to the next, and each that has the name is asked for by itself.
  private func alternatives(_ session: any AnalysisSession) throws(AnalysisError) -> [[Condition]] {
    guard let program else { return [[]] }
    // No file is named so.
    guard !program.isEmpty else { return [] }
    var found: [[Condition]] = []
    var last: String?
    for _ in 0..<Question.mostPrograms {
      let next = try session.rows(
        "SELECT MIN(executable) FROM record" + (last == nil ? "" : " WHERE executable > ?"),
        last.map { [.text($0)] } ?? [])
      guard let path = next.first?.first?.string else { return found }
      if path.utf8.split(separator: UInt8(ascii: "/")).last?.elementsEqual(program.utf8) == true {
        found.append([Condition(text: "executable = ?", value: .text(path))])
      }
      last = path
    }
    let path = "rtrim(executable, '/')"
    return [
      [
        Condition(
          text: "(\(path) = ? OR substr(\(path), length(\(path)) - \(program.unicodeScalars.count)) = ?)",
          values: [.text(program), .text("/" + program)])
      ]
    ]
  }

  /// Where there are more, every record is looked at.
  private static var mostPrograms: Int { 1000 }

  // MARK: Records

  func newest(_ count: Int, _ session: any AnalysisSession) throws(AnalysisError) -> [AuditRecord] {
    var found: [(place: [Int64], record: AuditRecord)] = []
    for alternative in try alternatives(session) {
      let conditions = counted + recorded + times + alternative
      let rows = try session.rows(
        """
        SELECT time, source, sequence, frame FROM record WHERE \(Question.joined(conditions))
        ORDER BY time DESC, source DESC, sequence DESC LIMIT ?
        """, conditions.flatMap(\.values) + [.integer(Int64(count))])
      for row in rows {
        guard let frame = row[3].string, let bytes = Base64.bytes(frame),
          let record = try? AuditRecord(decoding: bytes)
        else { throw .foreign("a record in the database cannot be read: it was changed, or a newer postern wrote it") }
        found.append(((0..<3).map { row[$0].number ?? 0 }, record))
      }
    }
    found.sort { $1.place.lexicographicallyPrecedes($0.place) }
    return found.prefix(count).map(\.record)
  }

  // MARK: Counts

  func count(_ session: any AnalysisSession) throws(AnalysisError) -> Int64 {
    let since = filter.since.map { Int64(clamping: $0) } ?? 0
    let until = filter.until.map { Int64(clamping: $0) }
    guard recorded.isEmpty, program == nil else { return try countRecords(since, until, session) }
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
    var count: Int64 = 0
    for alternative in try alternatives(session) {
      let conditions =
        counted + recorded + alternative
        + [
          Condition(text: "time >= ?", value: .integer(since)),
          Condition(text: "time < ?", value: .integer(until ?? .max)),
        ]
      count +=
        try session.rows(
          "SELECT COUNT(*) FROM record WHERE \(Question.joined(conditions))", conditions.flatMap(\.values)
        ).first?.first?.number ?? 0
    }
    return count
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

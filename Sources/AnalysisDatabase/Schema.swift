import Analysis

/// The tables as both kinds of database have them: numbers, and texts that are escaped for people.
enum Schema {
  /// Increased with every change of the tables.
  static let version: Int64 = 2

  struct Table {
    var name: String
    /// Each with its type and what else there is to say.
    var columns: [(name: String, type: String)]
    var key: [String]
    /// Kept in the order of its key (sqlite.org/withoutrowid.html).
    var isClustered = true

    var names: [String] { columns.map(\.name) }
  }

  static let record = Table(
    name: "record",
    columns: [
      ("source", "BIGINT NOT NULL"), ("sequence", "BIGINT NOT NULL"), ("last", "BIGINT NOT NULL"),
      ("time", "BIGINT NOT NULL"), ("kind", "TEXT NOT NULL"), ("reason", "TEXT"), ("operation", "TEXT"),
      ("path", "TEXT"), ("object", "TEXT"), ("application", "TEXT"), ("pid", "BIGINT"), ("uid", "BIGINT"),
      ("executable", "TEXT"), ("association", "BIGINT"), ("frame", "TEXT NOT NULL"),
    ], key: ["source", "sequence"])

  static let association = Table(
    name: "association",
    columns: [
      ("source", "BIGINT NOT NULL"), ("key", "TEXT NOT NULL"), ("state", "TEXT NOT NULL"), ("association", "BIGINT"),
      ("object", "TEXT"), ("application", "TEXT"), ("operations", "TEXT"), ("path", "TEXT"), ("pid", "BIGINT"),
      ("start", "BIGINT"), ("uid", "BIGINT"), ("executable", "TEXT"), ("generation", "BIGINT"),
      ("sequence", "BIGINT NOT NULL"), ("time", "BIGINT NOT NULL"),
    ], key: ["source", "key"])

  static let runtimeGrant = Table(
    name: "runtime_grant",
    columns: [
      ("source", "BIGINT NOT NULL"), ("key", "TEXT NOT NULL"), ("state", "TEXT NOT NULL"), ("object", "TEXT"),
      ("application", "TEXT"), ("operations", "TEXT"), ("uid", "BIGINT"), ("expires", "BIGINT"),
      ("sequence", "BIGINT NOT NULL"), ("time", "BIGINT NOT NULL"),
    ], key: ["source", "key"])

  static let counter = Table(
    name: "counter",
    columns: [
      ("source", "BIGINT NOT NULL"), ("hour", "BIGINT NOT NULL"), ("kind", "TEXT NOT NULL"),
      ("reason", "TEXT NOT NULL"), ("object", "TEXT NOT NULL"), ("application", "TEXT NOT NULL"),
      ("uid", "BIGINT NOT NULL"), ("count", "BIGINT NOT NULL"), ("first_time", "BIGINT NOT NULL"),
      ("last_time", "BIGINT NOT NULL"),
    ], key: ["source", "hour", "kind", "reason", "object", "application", "uid"])

  /// What follows the journal.
  static func table(_ table: AnalysisTable) -> Table {
    switch table {
    case .record: record
    case .association: association
    case .runtimeGrant: runtimeGrant
    case .counter: counter
    }
  }

  private static let own: [Table] = [
    Table(name: "meta", columns: [("name", "TEXT NOT NULL"), ("value", "BIGINT NOT NULL")], key: ["name"]),
    // Which journals: a number for each, because every row has it.
    Table(
      name: "source", columns: [("id", "BIGINT NOT NULL"), ("journal", "TEXT NOT NULL UNIQUE")], key: ["id"]),
    Table(
      name: "progress",
      columns: [
        ("source", "BIGINT NOT NULL"), ("name", "TEXT NOT NULL"), ("applied", "BIGINT NOT NULL"),
        ("state", "TEXT NOT NULL"), ("reason", "TEXT NOT NULL"), ("time", "BIGINT NOT NULL"),
      ], key: ["source", "name"]),
    Table(
      name: "chain",
      columns: [("source", "BIGINT NOT NULL"), ("sequence", "BIGINT NOT NULL"), ("time", "BIGINT NOT NULL")],
      key: ["source", "sequence"]),
    Table(
      name: "absence",
      columns: [
        ("source", "BIGINT NOT NULL"), ("first", "BIGINT NOT NULL"), ("last", "BIGINT NOT NULL"),
        ("reason", "TEXT NOT NULL"),
      ], key: ["source", "first"]),
    Table(
      name: "strategy_failure",
      columns: [
        ("source", "BIGINT NOT NULL"), ("name", "TEXT NOT NULL"), ("first", "BIGINT NOT NULL"),
        ("last", "BIGINT NOT NULL"), ("strategy", "TEXT NOT NULL"), ("replacement", "TEXT NOT NULL"),
        ("reason", "TEXT NOT NULL"),
      ], key: ["source", "name", "first", "strategy"]),
  ]

  /// Each ends with the time, so that the newest of what is asked for is found without looking at the rest.
  private static let indices =
    ["CREATE INDEX IF NOT EXISTS record_time ON record (time)"]
    + ["kind", "reason", "object", "application", "pid", "uid", "path", "operation", "executable"].map {
      "CREATE INDEX IF NOT EXISTS record_\($0) ON record (\($0), time)"
    }

  /// Makes what is not there; fails where the tables are of another version.
  static func prepare(_ session: any AnalysisSession, isSQLite: Bool) throws(AnalysisError) {
    func make(_ table: Table) throws(AnalysisError) {
      let columns = table.columns.map { "\($0.name) \($0.type)" }.joined(separator: ", ")
      let clustered = isSQLite && table.isClustered ? " WITHOUT ROWID" : ""
      try session.execute(
        "CREATE TABLE IF NOT EXISTS \(table.name) (\(columns), PRIMARY KEY (\(table.key.joined(separator: ", "))))"
          + clustered)
    }
    for table in own + AnalysisTable.allCases.map({ Schema.table($0) }) { try make(table) }
    for index in indices { try session.execute(index) }
    switch try found(session) {
    case version: return
    case nil:
      _ = try session.execute("INSERT INTO meta (name, value) VALUES (?, ?)", [.text("schema"), .integer(version)])
    case .some(let other) where other < version:
      for table in rebuilt {
        try session.execute("DROP TABLE \(table.rawValue)")
        try make(Schema.table(table))
      }
      try rebuild(session)
      _ = try session.execute("UPDATE meta SET value = ? WHERE name = ?", [.integer(version), .text("schema")])
    case .some: try check(session)
    }
  }

  /// Fails where the tables are not of this version.
  static func check(_ session: any AnalysisSession) throws(AnalysisError) {
    let other: Int64?
    do throws(AnalysisError) {
      other = try found(session)
    } catch {
      guard case .refused = error else { throw error }
      throw .foreign("it has no tables of Postern's")
    }
    if other == version { return }
    throw .foreign("the tables are of version \(other ?? 0), and this postern knows version \(version)")
  }

  private static func found(_ session: any AnalysisSession) throws(AnalysisError) -> Int64? {
    try session.rows("SELECT value FROM meta WHERE name = ?", [.text("schema")]).first?.first?.number
  }
}

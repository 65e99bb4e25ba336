import Analysis
import Audit

extension Schema {
  /// The tables that come from the records in the database.
  static let rebuilt: [AnalysisTable] = [.association, .runtimeGrant]

  /// Loads the tables of what is now again in bulk, from a snapshot that the records in the database give.
  ///
  /// For tables of another version, or lost ones. Counters stay as they are: they speak of records that the retention has
  /// removed, too.
  static func rebuild(_ session: any AnalysisSession) throws(AnalysisError) {
    for source in try session.rows("SELECT id FROM source ORDER BY id", []).compactMap({ $0.first?.number }) {
      var snapshots: [AnalysisTable: Snapshot] = [:]
      var after: Int64 = -1
      while true {
        let page = try session.rows(
          "SELECT sequence, frame FROM record WHERE source = ? AND sequence > ? ORDER BY sequence LIMIT 4096",
          [.integer(source), .integer(after)])
        if page.isEmpty { break }
        for row in page {
          guard let sequence = row.first?.number, let frame = row.last?.string, let bytes = Base64.bytes(frame),
            let record = try? AuditRecord(decoding: bytes)
          else {
            throw .foreign("a record in the database cannot be read: it was changed, or a newer postern wrote it")
          }
          after = sequence
          let entry = Entry(record, source: source)
          for table in rebuilt {
            let applied = try progress(session, source, table)
            // A table that has stopped is rebuilt as far as it was.
            if sequence <= applied { snapshots[table, default: Snapshot()].apply(entry.changes(in: table)) }
          }
        }
      }
      for table in rebuilt {
        _ = try session.execute("DELETE FROM \(table.rawValue) WHERE source = ?", [.integer(source)])
        try session.load(
          table.rawValue, Schema.table(table).names,
          (snapshots[table] ?? Snapshot()).sorted.map { [.integer(source), .text($0.key)] + $0.cells })
      }
    }
  }

  private static func progress(
    _ session: any AnalysisSession, _ source: Int64, _ table: AnalysisTable
  ) throws(AnalysisError) -> Int64 {
    try session.rows(
      "SELECT applied FROM progress WHERE source = ? AND name = ?", [.integer(source), .text(table.rawValue)]
    ).first?.first?.number ?? 0
  }
}

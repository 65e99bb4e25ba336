import Analysis

/// How far a table is.
public struct TableProgress: Sendable, Hashable {
  public enum State: String, Sendable, Hashable {
    case following
    /// There is work to do at the table, and its modifications wait for that.
    case suspended
    /// It goes no further, and `reason` says why.
    case stopped
  }

  public var table: AnalysisTable
  /// Every record up to this number has had its effect, once.
  public var applied: UInt64
  public var state: State = .following
  public var reason = ""
  /// Wall nanoseconds of the last record that was applied; 0: none yet.
  public var time: UInt64 = 0
}

extension AnalysisSession {
  /// The number of a journal in this database, which it is given here if it is new.
  func sourceNumber(_ journal: String) throws(AnalysisError) -> Int64 {
    if let known = try rows("SELECT id FROM source WHERE journal = ?", [.text(journal)]).first?.first?.number {
      return known
    }
    let last = try rows("SELECT MAX(id) FROM source WHERE id >= ?", [.integer(0)]).first?.first?.number ?? 0
    try insert("source", ["id", "journal"], [.integer(last + 1), .text(journal)])
    for table in AnalysisTable.allCases {
      try insert(
        "progress", ["source", "name", "applied", "state", "reason", "time"],
        [
          .integer(last + 1), .text(table.rawValue), .integer(0), .text(TableProgress.State.following.rawValue),
          .text(""), .integer(0),
        ])
    }
    return last + 1
  }

  func progress(_ source: Int64) throws(AnalysisError) -> [TableProgress] {
    let rows = try rows(
      "SELECT name, applied, state, reason, time FROM progress WHERE source = ? ORDER BY name", [.integer(source)])
    return rows.compactMap { row in
      guard row.count == 5, let table = row[0].string.flatMap({ AnalysisTable(rawValue: $0) }),
        let applied = row[1].number, let state = row[2].string.flatMap({ TableProgress.State(rawValue: $0) })
      else { return nil }
      return TableProgress(
        table: table, applied: UInt64(clamping: applied), state: state, reason: row[3].string ?? "",
        time: UInt64(clamping: row[4].number ?? 0))
    }
  }

  /// Moves a table on, from where it was when it was looked at.
  func move(_ source: Int64, from old: TableProgress, to new: TableProgress) throws(AnalysisError) {
    let changed = try execute(
      """
      UPDATE progress SET applied = ?, state = ?, reason = ?, time = ?
      WHERE source = ? AND name = ? AND applied = ? AND state = ?
      """,
      [
        Cell(new.applied), .text(new.state.rawValue), .text(new.reason), Cell(new.time), .integer(source),
        .text(old.table.rawValue), Cell(old.applied), .text(old.state.rawValue),
      ])
    // Somebody else has moved it: what this transaction did is undone with it.
    guard changed == 1 else { throw .overtaken }
  }
}

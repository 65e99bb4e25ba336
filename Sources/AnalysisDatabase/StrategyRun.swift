import Analysis

/// A strategy that has failed, and what was done instead.
public struct StrategyFailure: Sendable, Hashable {
  public var table: AnalysisTable
  public var first: UInt64
  public var last: UInt64
  public var strategy: Strategy
  /// nil: nothing was left to try.
  public var replacement: Strategy?
  public var reason: String
}

/// Brings one run of records into one table, in an open transaction.
struct StrategyRun {
  let session: any AnalysisSession
  let source: Int64
  let table: AnalysisTable
  let entries: ArraySlice<Entry>
  /// Fails an operation of a strategy, for tests.
  let fault: (@Sendable (Strategy, ReplicationOperation) -> AnalysisError?)?

  private var schema: Schema.Table { Schema.table(table) }
  private var name: String { table.rawValue }

  /// Tries the strategy and then what can take its place, until one has worked; each that failed is undone and noted.
  ///
  /// - Returns: the strategy that worked; nil: none has, and nothing is changed.
  func perform(_ strategy: Strategy, _ failures: inout [StrategyFailure]) throws(AnalysisError) -> Strategy? {
    var left = strategy.replacements
    var current = strategy
    while true {
      do throws(AnalysisError) {
        try session.attempt { () throws(AnalysisError) in try run(current) }
        return current
      } catch {
        guard case .refused(let reason) = error else { throw error }
        let replacement = left.isEmpty ? nil : left.removeFirst()
        let failure = StrategyFailure(
          table: table, first: entries.first?.sequence ?? 0, last: entries.last?.last ?? 0, strategy: current,
          replacement: replacement, reason: reason)
        failures.append(failure)
        try note(failure)
        guard let replacement else { return nil }
        current = replacement
      }
    }
  }

  private func note(_ failure: StrategyFailure) throws(AnalysisError) {
    _ = try session.execute(
      """
      INSERT INTO strategy_failure (source, name, first, last, strategy, replacement, reason) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (source, name, first, strategy) DO UPDATE
      SET last = excluded.last, replacement = excluded.replacement, reason = excluded.reason
      """,
      [
        .integer(source), .text(name), Cell(failure.first), Cell(failure.last), .text(failure.strategy.rawValue),
        .text(failure.replacement?.rawValue ?? ""), .text(failure.reason),
      ])
  }

  private func run(_ strategy: Strategy) throws(AnalysisError) {
    switch table {
    case .record: try runRecord(strategy)
    case .counter: try runCounter(strategy)
    case .association, .runtimeGrant: try runKeyed(strategy)
    }
  }

  private func check(_ strategy: Strategy, _ operation: ReplicationOperation) throws(AnalysisError) {
    if let error = fault?(strategy, operation) { throw error }
  }

  // MARK: Tables that grow

  private func runRecord(_ strategy: Strategy) throws(AnalysisError) {
    for operation in strategy.operations {
      try check(strategy, operation)
      switch operation {
      case .append, .upsert, .merge:
        for entry in entries { try session.insert(name, schema.names, entry.row) }
      case .bulkLoad: try session.load(name, schema.names, entries.map(\.row))
      case .delete:
        _ = try session.execute(
          "DELETE FROM record WHERE source = ? AND sequence BETWEEN ? AND ?",
          [.integer(source), Cell(entries.first?.sequence ?? 0), Cell(entries.last?.last ?? 0)])
      case .suspend: break
      }
    }
  }

  // MARK: Counters

  private static let merge = """
    INSERT INTO counter (source, hour, kind, reason, object, application, uid, count, first_time, last_time)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (source, hour, kind, reason, object, application, uid) DO UPDATE
    SET count = counter.count + excluded.count,
      first_time = CASE WHEN excluded.first_time < counter.first_time THEN excluded.first_time ELSE counter.first_time END,
      last_time = CASE WHEN excluded.last_time > counter.last_time THEN excluded.last_time ELSE counter.last_time END
    """
  private static let counterKey =
    "source = ? AND hour = ? AND kind = ? AND reason = ? AND object = ? AND application = ? AND uid = ?"

  private func runCounter(_ strategy: Strategy) throws(AnalysisError) {
    var sums = CounterSums()
    for entry in entries { sums.add(entry.counts) }
    var found = sums.tallies
    for operation in strategy.operations {
      try check(strategy, operation)
      switch operation {
      case .merge where strategy == .mergeEach:
        for entry in entries {
          for change in entry.counts {
            _ = try session.execute(StrategyRun.merge, key(change.key) + values(change.tally))
          }
        }
      case .merge, .upsert:
        for (key, tally) in sums.tallies {
          _ = try session.execute(StrategyRun.merge, self.key(key) + values(tally))
        }
      case .delete:
        for key in sums.tallies.keys {
          let rows = try session.rows(
            "SELECT count, first_time, last_time FROM counter WHERE \(StrategyRun.counterKey)", self.key(key))
          if let row = rows.first, let count = row[0].number, let first = row[1].number, let last = row[2].number {
            found[key]?.merge(Tally(count: count, first: first, last: last))
          }
          _ = try session.execute("DELETE FROM counter WHERE \(StrategyRun.counterKey)", self.key(key))
        }
      case .append, .bulkLoad:
        for (key, tally) in found { try session.insert(name, schema.names, self.key(key) + values(tally)) }
      case .suspend: break
      }
    }
  }

  private func key(_ key: CounterKey) -> [Cell] {
    [
      .integer(source), .integer(key.hour), .text(key.kind), .text(key.reason), .text(key.object),
      .text(key.application), .integer(key.uid),
    ]
  }

  private func values(_ tally: Tally) -> [Cell] {
    [.integer(tally.count), .integer(tally.first), .integer(tally.last)]
  }

  // MARK: Tables of what is now

  private func runKeyed(_ strategy: Strategy) throws(AnalysisError) {
    let changes = entries.flatMap { $0.changes(in: table) }
    var rows: [KeyedRow] = []
    var keys: [String]?
    switch strategy {
    case .reload, .reloadRows:
      var snapshot = try snapshot()
      snapshot.apply(changes)
      rows = snapshot.sorted
    default:
      if strategy == .rowByRow { break }
      guard let effect = NetEffect(changes) else { throw .refused("a change concerns every row") }
      rows = effect.rows
      keys = effect.keys
    }
    for operation in strategy.operations {
      try check(strategy, operation)
      switch operation {
      case .upsert where strategy == .rowByRow:
        for change in changes {
          switch change {
          case .put(let row): try upsert(row)
          case .remove(let key): try delete(key)
          case .clear, .doubt: throw .refused("a change concerns every row")
          }
        }
      case .upsert, .append, .merge: for row in rows { try upsert(row) }
      case .bulkLoad: try session.load(name, schema.names, rows.map { cells($0) })
      case .delete:
        if let keys {
          for key in keys { try delete(key) }
        } else {
          _ = try session.execute("DELETE FROM \(name) WHERE source = ?", [.integer(source)])
        }
      case .suspend: break
      }
    }
  }

  private func snapshot() throws(AnalysisError) -> Snapshot {
    let columns = schema.names.dropFirst().joined(separator: ", ")
    var rows: [String: [Cell]] = [:]
    for row in try session.rows("SELECT \(columns) FROM \(name) WHERE source = ?", [.integer(source)]) {
      if let key = row.first?.string { rows[key] = Array(row.dropFirst()) }
    }
    return Snapshot(rows)
  }

  private func upsert(_ row: KeyedRow) throws(AnalysisError) {
    let columns = schema.names
    let set = columns.dropFirst(2).map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
    _ = try session.execute(
      """
      INSERT INTO \(name) (\(columns.joined(separator: ", "))) VALUES (\(marks(columns.count)))
      ON CONFLICT (source, key) DO UPDATE SET \(set)
      """, cells(row))
  }

  private func delete(_ key: String) throws(AnalysisError) {
    _ = try session.execute("DELETE FROM \(name) WHERE source = ? AND key = ?", [.integer(source), .text(key)])
  }

  private func cells(_ row: KeyedRow) -> [Cell] { [.integer(source), .text(row.key)] + row.cells }
}

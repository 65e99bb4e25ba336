/// All rows of a table of what is now, by their keys.
public struct Snapshot: Sendable, Hashable {
  public private(set) var rows: [String: [Cell]]

  public init(_ rows: [String: [Cell]] = [:]) { self.rows = rows }

  public mutating func apply(_ changes: some Sequence<KeyedChange>) {
    for change in changes {
      switch change {
      case .put(let row): rows[row.key] = row.cells
      case .remove(let key): rows[key] = nil
      case .clear: rows.removeAll()
      case .doubt:
        for key in rows.keys where rows[key]?.isEmpty == false { rows[key]?[0] = KeyedChange.doubtful }
      }
    }
  }

  /// In the order of the keys, so that two loads of the same rows are the same.
  public var sorted: [KeyedRow] { rows.map { KeyedRow($0.key, $0.value) }.sorted { $0.key < $1.key } }
}

/// What a run of regular changes comes to: for each key that it touches the row that is left, or none.
public struct NetEffect: Sendable, Hashable {
  public private(set) var left: [String: [Cell]?] = [:]

  /// nil: there is a change among them that concerns every row.
  public init?(_ changes: some Sequence<KeyedChange>) {
    for change in changes {
      switch change {
      case .put(let row): left.updateValue(row.cells, forKey: row.key)
      case .remove(let key): left.updateValue(nil, forKey: key)
      case .clear, .doubt: return nil
      }
    }
  }

  public var keys: [String] { left.keys.sorted() }
  public var rows: [KeyedRow] { keys.compactMap { key in left[key]?.map { KeyedRow(key, $0) } } }
}

/// The sums of counter changes.
public struct CounterSums: Sendable, Hashable {
  public private(set) var tallies: [CounterKey: Tally] = [:]

  public init() {}

  public mutating func add(_ changes: some Sequence<CounterChange>) {
    for change in changes { tallies[change.key, default: Tally(count: 0, first: .max, last: .min)].merge(change.tally) }
  }
}

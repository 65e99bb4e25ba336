/// A row of a table of what is now; its columns are its table's, the first of them its state.
public struct KeyedRow: Sendable, Hashable {
  public var key: String
  public var cells: [Cell]

  public init(_ key: String, _ cells: [Cell]) {
    self.key = key
    self.cells = cells
  }
}

/// What a record does to a table of what is now.
public enum KeyedChange: Sendable, Hashable {
  case put(KeyedRow)
  case remove(key: String)
  /// Another broker, or another policy: nothing of before is true any more.
  case clear
  /// Changes were lost: nobody can say that what is here still is.
  case doubt

  /// The first column of a row that `doubt` has met.
  public static let doubtful = Cell.text("uncertain")
}

/// What is counted together.
public struct CounterKey: Sendable, Hashable {
  /// Hours since 1970.
  public var hour: Int64
  public var kind: String
  /// Empty where the record has none; so are the texts below.
  public var reason: String
  public var object: String
  public var application: String
  /// -1 where the record has none.
  public var uid: Int64

  public init(hour: Int64, kind: String, reason: String, object: String, application: String, uid: Int64) {
    self.hour = hour
    self.kind = kind
    self.reason = reason
    self.object = object
    self.application = application
    self.uid = uid
  }
}

public struct Tally: Sendable, Hashable {
  public var count: Int64
  /// Wall nanoseconds of the first and the last one.
  public var first: Int64
  public var last: Int64

  public init(count: Int64, first: Int64, last: Int64) {
    self.count = count
    self.first = first
    self.last = last
  }

  public mutating func merge(_ other: Tally) {
    count &+= other.count
    first = min(first, other.first)
    last = max(last, other.last)
  }
}

public struct CounterChange: Sendable, Hashable {
  public var key: CounterKey
  public var tally: Tally

  public init(_ key: CounterKey, _ tally: Tally) {
    self.key = key
    self.tally = tally
  }
}

/// The work at a table that a utility record asks for.
public enum TableWork: Sendable, Hashable {
  /// Rows with these numbers go: the retention has removed their records.
  case compact(first: Int64, last: Int64)
  /// The journal's tail was cut: no row may lie behind it.
  case compareEnd
  /// Another chain of keys begins.
  case noteChain
}

/// A record as the tables take it.
public struct Entry: Sendable, Hashable {
  public var sequence: UInt64
  /// A gap stands for all numbers up to this one; else `sequence`.
  public var last: UInt64
  public var type: RecordType
  /// Its row in `record`.
  public var row: [Cell]
  public var associations: [KeyedChange]
  public var runtimeGrants: [KeyedChange]
  public var counts: [CounterChange]
  public var work: TableWork?

  public init(
    sequence: UInt64, last: UInt64, type: RecordType, row: [Cell], associations: [KeyedChange] = [],
    runtimeGrants: [KeyedChange] = [], counts: [CounterChange] = [], work: TableWork? = nil
  ) {
    self.sequence = sequence
    self.last = last
    self.type = type
    self.row = row
    self.associations = associations
    self.runtimeGrants = runtimeGrants
    self.counts = counts
    self.work = work
  }

  /// What it does to a table of what is now.
  public func changes(in table: AnalysisTable) -> [KeyedChange] {
    switch table {
    case .association: associations
    case .runtimeGrant: runtimeGrants
    case .record, .counter: []
    }
  }
}

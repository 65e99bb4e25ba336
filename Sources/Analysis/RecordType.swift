/// What a record is to the analysis database: its kind, and where that matters what it says.
public enum RecordType: CaseIterable, Sendable, Hashable {
  case refusal, use, privileged
  case grant, revalidate, drop, revoke
  /// Something was begun for a process that leaves the broker's hands.
  case intent
  case runtimeGrant, runtimeGrantEnd
  /// Numbers of refusals that were not kept.
  case gap
  /// Numbers that were not kept, changes among them.
  case gapOfChanges
  case start, stop
  case reload
  /// A reload that has changed nothing.
  case failedReload
  case repair, removal, rekey

  /// What the record does to a table; nil: the table is none of its business.
  public func recordClass(in table: AnalysisTable) -> RecordClass? {
    switch table {
    case .record:
      switch self {
      case .repair, .removal, .rekey: .utility
      default: .regular
      }
    case .counter: .regular
    case .association:
      switch self {
      case .grant, .revalidate, .intent, .drop, .revoke: .regular
      case .start, .stop, .gapOfChanges: .structural
      default: nil
      }
    case .runtimeGrant:
      switch self {
      case .runtimeGrant, .runtimeGrantEnd: .regular
      case .start, .stop, .reload, .gapOfChanges: .structural
      default: nil
      }
    }
  }
}

/// How a record changes a table.
public enum RecordClass: CaseIterable, Sendable, Hashable {
  /// Rows come, change or go.
  case regular
  /// What the rows rest on has changed: the table is loaded again from a snapshot.
  case structural
  /// The journal's own housekeeping: work at the table during which its modifications wait.
  case utility
}

/// How many records wait for a table, against the number from which one way costs less than the other.
public enum Backlog: CaseIterable, Sendable, Hashable {
  case below, at, above

  /// As many rows as one bulk INSERT of SQLite's takes here: with fewer there is nothing to put together.
  public static let threshold: UInt64 = 64

  public init(_ records: UInt64, threshold: UInt64 = Backlog.threshold) {
    self = records < threshold ? .below : records == threshold ? .at : .above
  }
}

/// One step at the database of which strategies are made.
public enum ReplicationOperation: Sendable, Hashable {
  /// One INSERT for each row; a row that is there already is an error.
  case append
  /// One INSERT for each row that takes the place of the one with its key; rows that ended are deleted one by one.
  case upsert
  /// Deletes the rows with these keys, or in this range, which need not be there.
  case delete
  /// All rows at once: COPY, or INSERT with many rows.
  case bulkLoad
  /// Adds numbers to counters, which begin at none.
  case merge
  /// From here on the table's modifications wait, until the work at it is done.
  case suspend
}

/// A way to bring a run of records into a table: a fixed sequence of operations.
public enum Strategy: String, CaseIterable, Sendable, Hashable {
  // Tables that only grow.
  case append
  case bulkAppend = "bulk-append"
  case replaceAppend = "replace-append"
  // Tables of what is now.
  case rowByRow = "row-by-row"
  case netEffect = "net-effect"
  case reload
  case reloadRows = "reload-rows"
  // Counters.
  case mergeEach = "merge-each"
  case mergeTogether = "merge-together"
  case replaceCounters = "replace-counters"
  // Work at a table.
  case workInSmallParts = "work-in-small-parts"
  case workInLargeParts = "work-in-large-parts"

  public var operations: [ReplicationOperation] {
    switch self {
    case .append: [.append]
    case .bulkAppend: [.bulkLoad]
    case .replaceAppend: [.delete, .append]
    case .rowByRow: [.upsert]
    case .netEffect: [.delete, .bulkLoad]
    case .reload: [.delete, .bulkLoad]
    case .reloadRows: [.delete, .upsert]
    case .mergeEach, .mergeTogether: [.merge]
    case .replaceCounters: [.delete, .append]
    case .workInSmallParts, .workInLargeParts: [.suspend, .delete, .append]
    }
  }

  /// What takes the place of a strategy that has failed, in order: each leads to the same rows by other operations.
  public var replacements: [Strategy] {
    switch self {
    case .append, .bulkAppend: [.replaceAppend]
    case .replaceAppend: []
    case .rowByRow: [.netEffect, .reloadRows]
    case .netEffect: [.rowByRow, .reloadRows]
    case .reload: [.reloadRows]
    case .reloadRows: []
    case .mergeEach: [.mergeTogether, .replaceCounters]
    case .mergeTogether: [.mergeEach, .replaceCounters]
    case .replaceCounters: []
    case .workInSmallParts, .workInLargeParts: []
    }
  }

  /// Rows that one part of the work at a table removes at most.
  public var partSize: Int64 { self == .workInLargeParts ? 100_000 : 10_000 }

  /// The strategy for a run of records of one class.
  ///
  /// At the threshold the way for many is taken: one bulk INSERT is full, and what follows is more likely to be more.
  public static func select(_ table: AnalysisTable, _ recordClass: RecordClass, _ backlog: Backlog) -> Strategy {
    switch (recordClass, table, backlog) {
    case (.regular, .record, .below): .append
    case (.regular, .record, .at), (.regular, .record, .above): .bulkAppend
    case (.regular, .counter, .below): .mergeEach
    case (.regular, .counter, .at), (.regular, .counter, .above): .mergeTogether
    case (.regular, .association, .below), (.regular, .runtimeGrant, .below): .rowByRow
    case (.regular, _, .at), (.regular, _, .above): .netEffect
    case (.structural, _, _): .reload
    case (.utility, _, .below): .workInSmallParts
    // Much waits for the table: it comes back sooner.
    case (.utility, _, .at), (.utility, _, .above): .workInLargeParts
    }
  }
}

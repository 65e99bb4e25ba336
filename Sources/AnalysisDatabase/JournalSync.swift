import Analysis
import Audit
import Linux

/// Why bringing a journal into a database has ended.
public enum SyncError: Error, Sendable, Hashable {
  case journal(JournalError)
  /// There is no journal in the directory, or none that this version reads.
  case noJournal
  /// Another journal lies there than at the start.
  case otherJournal
  case database(AnalysisError)
}

/// Brings one journal into an analysis database, each table at its own pace, each record once.
///
/// Used by one thread; the journal is only read.
public final class JournalSync {
  public struct Configuration: Sendable {
    /// The journal's directory.
    public var directory: String
    /// `Backlog.threshold`, unless a test wants another.
    public var threshold = Backlog.threshold
    /// Records in one transaction at most.
    public var batch = 16384
    /// Numbers that may be missing because somebody who may decide that has said so.
    public var accepted: [ClosedRange<UInt64>] = []
    /// Rows that one part of the work at a table removes at most; nil: what the strategy says.
    var partSize: Int64?
    /// `JournalTail`'s, for tests.
    var looksAgain = true
    /// Fails an operation of a strategy, for tests.
    var fault: (@Sendable (Strategy, ReplicationOperation) -> AnalysisError?)?

    public init(directory: String) { self.directory = directory }
  }

  private let configuration: Configuration
  private let target: any AnalysisTarget
  /// By the number behind which they read on.
  private var tails: [UInt64: JournalTail] = [:]
  /// The record that the work at a table is for, while it lasts.
  private var pending: (position: UInt64, entry: Entry)?
  /// Which journal.
  public let journal: JournalID
  private let source: Int64
  /// As the database has it.
  public private(set) var tables: [TableProgress] = []
  public private(set) var extent: JournalExtent
  /// Records that were applied, in any table, by this object.
  public private(set) var applied: UInt64 = 0
  /// How many runs each strategy has brought in.
  public private(set) var strategies: [Strategy: UInt64] = [:]
  /// In their order; at most `mostFailures`.
  public private(set) var failures: [StrategyFailure] = []
  private static let mostFailures = 1000

  public init(_ configuration: Configuration, into database: AnalysisDatabase) throws(SyncError) {
    self.configuration = configuration
    target = database.target
    extent = try JournalSync.extent(configuration.directory)
    journal = extent.source
    var number: Int64 = 0
    var tables: [TableProgress] = []
    let name = journal.text
    do throws(AnalysisError) {
      try target.transaction { (session) throws(AnalysisError) in
        number = try session.sourceNumber(name)
        tables = try session.progress(number)
      }
    } catch { throw .database(error) }
    source = number
    self.tables = tables
  }

  /// Records that wait for a table.
  public func lag(of table: TableProgress) -> UInt64 {
    extent.durable > table.applied ? extent.durable - table.applied : 0
  }

  /// The longest lag of a table.
  public var lag: UInt64 { tables.map { lag(of: $0) }.max() ?? 0 }

  /// Why tables have stopped, those of one reason together.
  public var stops: [(tables: [AnalysisTable], reason: String)] {
    Dictionary(grouping: tables.filter { $0.state == .stopped }, by: \.reason)
      .map { ($0.value.map(\.table), $0.key) }.sorted { $0.reason < $1.reason }
  }

  /// Lets tables that have stopped try again, and looks how far the journal is.
  public func begin() throws(SyncError) {
    try look()
    do throws(AnalysisError) {
      try target.transaction { (session) throws(AnalysisError) in
        for table in try session.progress(source) where table.state == .stopped {
          var again = table
          again.state = .following
          again.reason = ""
          try session.move(source, from: table, to: again)
        }
        tables = try session.progress(source)
      }
    } catch { throw .database(error) }
    tails = [:]
    pending = nil
  }

  /// Looks how far the journal is on disk now.
  public func look() throws(SyncError) {
    let now = try JournalSync.extent(configuration.directory)
    guard now.source == journal else { throw .otherJournal }
    extent = now
  }

  private static func extent(_ directory: String) throws(SyncError) -> JournalExtent {
    let extent: JournalExtent?
    do throws(JournalError) { extent = try JournalExtent(directory: directory) } catch { throw .journal(error) }
    guard let extent else { throw .noJournal }
    return extent
  }

  /// One batch for each group of tables that are equally far; false: nothing more can be done now.
  public func advance() throws(SyncError) -> Bool {
    let groups = Dictionary(grouping: tables.filter { $0.state != .stopped }, by: \.applied)
    var hasMoved = false
    for (position, group) in groups.sorted(by: { $0.key < $1.key }) {
      // Tables that are behind stop where others are, and go on with them.
      let end = min(extent.durable, groups.keys.filter { $0 > position }.min() ?? .max)
      guard position < end else { continue }
      let suspended = group.filter { $0.state == .suspended }
      let following = group.filter { $0.state == .following }
      if !suspended.isEmpty {
        try work(at: suspended, position)
        hasMoved = true
      }
      if !following.isEmpty {
        try bring(following, from: position, to: end)
        hasMoved = true
      }
    }
    return hasMoved
  }

  /// Everything that is on disk now.
  public func catchUp() throws(SyncError) { while try advance() {} }

  // MARK: A batch

  private func tail(at position: UInt64) throws(SyncError) -> JournalTail {
    if let tail = tails.removeValue(forKey: position) { return tail }
    do throws(JournalError) {
      return try JournalTail(
        directory: configuration.directory, after: position, source: source, looksAgain: configuration.looksAgain)
    } catch { throw .journal(error) }
  }

  private func read(_ tail: JournalTail, most: Int, upTo end: UInt64) throws(SyncError) -> JournalTail.Batch {
    do throws(JournalError) {
      return try tail.read(most: most, upTo: end) { first, last in
        if last <= extent.removed { return "removed by the retention before it was read" }
        let isAccepted = configuration.accepted.contains { $0.contains(first) && $0.contains(last) }
        return isAccepted ? "accepted as lost" : nil
      }
    } catch { throw .journal(error) }
  }

  private func bring(_ group: [TableProgress], from position: UInt64, to end: UInt64) throws(SyncError) {
    let tail = try tail(at: position)
    let batch = try read(tail, most: configuration.batch, upTo: end)
    let backlog = Backlog(extent.durable - position, threshold: configuration.threshold)
    var moved: [TableProgress] = []
    var worked: [Strategy] = []
    var failed: [StrategyFailure] = []
    try inTransaction { (session) throws(AnalysisError) in
      (moved, worked, failed) = ([], [], [])
      for absence in batch.absences { try note(absence, session) }
      for old in group {
        var new = old
        // Without entries the batch may have passed what is missing.
        new.applied = tail.next - 1
        new.time = batch.entries.last?.wall ?? old.time
        if let stop = batch.stop {
          new.state = .stopped
          new.reason = stop.text
        }
        try apply(batch.entries, Plan(batch.entries, for: old.table, backlog), &new, session, &worked, &failed)
        try session.move(source, from: old, to: new)
        moved.append(new)
      }
    }
    applied += UInt64(batch.entries.count)
    for strategy in worked { strategies[strategy, default: 0] += 1 }
    keep(failed)
    adopt(moved)
    if batch.stop == nil { tails[tail.next - 1] = tail }
  }

  /// Does a plan's steps; what a table could not take is not behind it.
  private func apply(
    _ entries: [Entry], _ plan: Plan, _ new: inout TableProgress, _ session: any AnalysisSession,
    _ worked: inout [Strategy], _ failed: inout [StrategyFailure]
  ) throws(AnalysisError) {
    func back(to index: Int) {
      new.applied = entries[index].sequence - 1
      new.time = index > 0 ? entries[index - 1].wall : new.time
    }
    for step in plan.steps {
      if step.recordClass == .utility {
        back(to: plan.taken)
        new.state = .suspended
        new.reason = step.strategy.rawValue
        return
      }
      let run = StrategyRun(
        session: session, source: source, table: new.table, entries: entries[step.entries],
        fault: configuration.fault)
      if let strategy = try run.perform(step.strategy, &failed) {
        worked.append(strategy)
      } else {
        back(to: step.entries.lowerBound)
        new.state = .stopped
        let stop = Stop.refused(
          first: entries[step.entries.lowerBound].sequence, last: entries[step.entries.upperBound - 1].last,
          failed.last?.reason ?? "")
        new.reason = stop.text
        return
      }
    }
  }

  private func note(_ absence: Absence, _ session: any AnalysisSession) throws(AnalysisError) {
    _ = try session.execute(
      """
      INSERT INTO absence (source, first, last, reason) VALUES (?, ?, ?, ?)
      ON CONFLICT (source, first) DO UPDATE SET last = excluded.last, reason = excluded.reason
      """, [.integer(source), Cell(absence.first), Cell(absence.last), .text(absence.reason)])
  }

  // MARK: Work at a table

  /// One part of the work that the record behind `position` asks for; when nothing is left of it the tables go on.
  private func work(at group: [TableProgress], _ position: UInt64) throws(SyncError) {
    if pending?.position != position {
      let batch = try read(try tail(at: position), most: 1, upTo: extent.durable)
      guard let entry = batch.entries.first, entry.work != nil else {
        // The record is not there any more: say so as for any other.
        return try stop(group, batch.stop?.text ?? "the record that the work was for is gone")
      }
      pending = (position, entry)
    }
    guard let entry = pending?.entry, let work = entry.work else { return }
    var moved: [TableProgress] = []
    try inTransaction { (session) throws(AnalysisError) in
      moved = []
      for old in group {
        var new = old
        let strategy = Strategy(rawValue: old.reason) ?? .workInSmallParts
        if let stop = try perform(work, for: entry, strategy, session) {
          new.state = .stopped
          new.reason = stop.text
        } else if try isDone(work, session) {
          try session.insert("record", Schema.record.names, entry.row)
          new.applied = entry.last
          new.time = entry.wall
          new.state = .following
          new.reason = ""
        }
        // A part that is not the last one leaves the table where it is.
        if new != old { try session.move(source, from: old, to: new) }
        moved.append(new)
      }
    }
    for (old, new) in zip(group, moved) where new.state == .following {
      strategies[Strategy(rawValue: old.reason) ?? .workInSmallParts, default: 0] += 1
    }
    adopt(moved)
  }

  private func perform(
    _ work: TableWork, for entry: Entry, _ strategy: Strategy, _ session: any AnalysisSession
  ) throws(AnalysisError) -> Stop? {
    switch work {
    case .compact(let first, let last):
      _ = try session.execute(
        """
        DELETE FROM record WHERE source = ? AND sequence IN (
          SELECT sequence FROM record WHERE source = ? AND sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?)
        """,
        [
          .integer(source), .integer(source), .integer(first), .integer(last),
          .integer(configuration.partSize ?? strategy.partSize),
        ])
    case .compareEnd:
      let last = try session.rows("SELECT MAX(last) FROM record WHERE source = ?", [.integer(source)]).first?.first
      if let last = last?.number.flatMap({ UInt64(exactly: $0) }), last >= entry.sequence {
        return .ahead(sequence: last)
      }
    case .noteChain:
      _ = try session.execute(
        "INSERT INTO chain (source, sequence, time) VALUES (?, ?, ?) ON CONFLICT (source, sequence) DO NOTHING",
        [.integer(source), Cell(entry.sequence), entry.row[3]])
    }
    return nil
  }

  private func isDone(_ work: TableWork, _ session: any AnalysisSession) throws(AnalysisError) -> Bool {
    guard case .compact(let first, let last) = work else { return true }
    return try session.rows(
      "SELECT sequence FROM record WHERE source = ? AND sequence BETWEEN ? AND ? LIMIT 1",
      [.integer(source), .integer(first), .integer(last)]
    ).isEmpty
  }

  private func stop(_ group: [TableProgress], _ reason: String) throws(SyncError) {
    var moved: [TableProgress] = []
    try inTransaction { (session) throws(AnalysisError) in
      moved = []
      for old in group {
        var new = old
        new.state = .stopped
        new.reason = reason
        try session.move(source, from: old, to: new)
        moved.append(new)
      }
    }
    adopt(moved)
  }

  private func inTransaction(_ body: (any AnalysisSession) throws(AnalysisError) -> Void) throws(SyncError) {
    do throws(AnalysisError) { try target.transaction(body) } catch { throw .database(error) }
  }

  private func adopt(_ moved: [TableProgress]) {
    for table in moved {
      if let index = tables.firstIndex(where: { $0.table == table.table }) { tables[index] = table }
    }
  }

  private func keep(_ failed: [StrategyFailure]) {
    failures.append(contentsOf: failed.prefix(JournalSync.mostFailures - failures.count))
  }
}

extension Entry {
  /// Wall nanoseconds.
  var wall: UInt64 { UInt64(bitPattern: row[3].number ?? 0) }
}

import Audit
import AuditAnalysis
import Linux
import Postern
import Wire

/// One record as the broker sent it.
enum RecordItem {
  case record(AuditRecord)
  /// This program is older than the journal, or the journal is damaged there.
  case unreadable(AuditFormatError)

  init(_ row: AuditRow) {
    do { self = .record(try AuditRecord(decoding: row.bytes)) } catch { self = .unreadable(error) }
  }
}

/// The audit journal as the broker lets us read it.
final class RecordSource {
  let session: Session
  let broker: PosternConnection
  let filter: AuditFilter
  /// What became of the records that were read.
  private(set) var diagnosis: FilterDiagnosis

  init(session: Session, broker: PosternConnection, filter: AuditFilter = AuditFilter()) {
    self.session = session
    self.broker = broker
    self.filter = filter
    diagnosis = FilterDiagnosis(filter)
  }

  /// All that match, were written after `start` and are there now, oldest first, page by page.
  ///
  /// What is written meanwhile is left to `follow`: it may come faster than it is read.
  ///
  /// - Parameter last: nothing behind this sequence number; nil: to the end.
  /// - Returns: the sequence number after which the next ones will come.
  @discardableResult
  func forEachPage(
    after start: UInt64 = 0, through last: UInt64? = nil, _ body: ([RecordItem]) throws(CommandFailure) -> Void
  ) throws(CommandFailure) -> UInt64 {
    let end = min(try end(), last ?? .max)
    var after = start
    while after < end {
      let page = try read(AuditRead(after: after))
      try body(page.items)
      // A page that does not lead on is the last one.
      guard page.next > after else { return after }
      after = page.next
    }
    return after
  }

  /// The records alone; one that cannot be read is an error, since what is made of the others would be wrong.
  func forEach(
    after start: UInt64 = 0, through last: UInt64? = nil, _ body: (AuditRecord) throws(CommandFailure) -> Void
  ) throws(CommandFailure) {
    try forEachPage(after: start, through: last) { (items) throws(CommandFailure) in
      for item in items {
        switch item {
        case .record(let record): try body(record)
        case .unreadable(let error):
          throw CommandFailure(
            .bug, "\(session.command): a record cannot be read: \(error)",
            hint: "A newer broker writes what an older `postern` does not know.")
        }
      }
    }
  }

  /// The newest ones that match, oldest first, and where following begins.
  ///
  /// Looks at the end, and where too few match there at more and more of what is before.
  func newest(_ count: Int) throws(CommandFailure) -> (items: [RecordItem], next: UInt64) {
    if filter == AuditFilter(), let limit = UInt32(exactly: count) {
      let page = try read(AuditRead(mode: .newest, limit: limit))
      // One message holds only so many.
      if page.items.count >= count { return page }
      diagnosis = FilterDiagnosis(filter)
    }
    let next = try end()
    var found: [RecordItem] = []
    var span = max(UInt64(count), Self.leastSpan)
    var last = next
    while last > 0, found.count < count {
      let start = last > span ? last - span : 0
      let missing = count - found.count
      var part: [RecordItem] = []
      var after = start
      while after < last {
        let page = try read(AuditRead(after: after), in: start + 1...last)
        part += page.items
        if part.count > missing { part.removeFirst(part.count - missing) }
        guard page.next > after else { break }
        after = page.next
      }
      found = part + found
      last = start
      span = min(span, 1 << 60) * 4
    }
    return (found, next)
  }

  /// Numbers that are looked at first: a few pages.
  private static let leastSpan: UInt64 = 2048

  /// Some of those that match and are older than a number, the newest of them, oldest first.
  ///
  /// - Parameters:
  ///   - count: the most that are wanted.
  ///   - span: how many numbers are looked at.
  ///   - filter: what they have to meet beside this source's.
  ///   - goesOn: asked between pages; false: ends with nothing.
  /// - Returns: them, and down to which number everything was looked at; nil: it was ended.
  func older(
    than sequence: UInt64, _ count: Int, span: UInt64, matching filter: AuditFilter = AuditFilter(),
    _ goesOn: () -> Bool
  ) throws(CommandFailure) -> (records: [AuditRecord], from: UInt64)? {
    var from = sequence > span ? sequence - span : 1
    var records: [AuditRecord] = []
    var isEnded = false
    var after = from - 1
    while after < sequence - 1, !isEnded {
      let page = try read(AuditRead(after: after))
      for case .record(let record) in page.items where record.sequence < sequence && filter.matches(record) {
        records.append(record)
      }
      guard page.next > after else { break }
      after = page.next
      isEnded = !goesOn()
    }
    if isEnded { return nil }
    if records.count > count {
      records.removeFirst(records.count - count)
      from = records[0].sequence
    }
    return (records, from)
  }

  /// Where the journal ends now.
  func end() throws(CommandFailure) -> UInt64 {
    try session.asking(session.command) { () throws(PosternError) in
      try broker.auditRead(AuditRead(mode: .newest, limit: 1)).next
    }
  }

  /// Waits until there is something after `start`.
  func follow(after start: UInt64) throws(CommandFailure) -> (items: [RecordItem], next: UInt64) {
    try read(AuditRead(mode: .follow, after: start))
  }

  /// The record with this number and what came before it; nil: there is none that we may read.
  func history(of sequence: UInt64) throws(CommandFailure) -> History? {
    var found: AuditRecord?
    try forEach(after: sequence - 1, through: sequence) { if $0.sequence == sequence { found = $0 } }
    guard let found else { return nil }
    var history = History(of: found)
    let start = sequence > Self.reach ? sequence - 1 - Self.reach : 0
    if sequence > 1 { try forEach(after: start, through: sequence - 1) { history.take($0) } }
    return history
  }

  /// How many records before one are looked at for what came before.
  static let reach: UInt64 = 200_000

  /// - Parameter numbers: those of the records that are wanted; a page has others too.
  private func read(
    _ request: AuditRead, in numbers: ClosedRange<UInt64> = 0...UInt64.max
  ) throws(CommandFailure) -> (items: [RecordItem], next: UInt64) {
    let page = try session.asking(session.command) { () throws(PosternError) in try broker.auditRead(request) }
    let rows = page.records.filter { AuditRecord.sequence(ofEncoded: $0.bytes).map(numbers.contains) ?? true }
    // What this program cannot read is never left out silently.
    let items = rows.map { RecordItem($0) }.filter { item in
      if case .record(let record) = item { return diagnosis.take(record) }
      return true
    }
    return (items, page.next)
  }

  // MARK: Rights

  /// Whether the broker lets us read everybody's records; it says no by itself wherever it does not.
  var readsAll: Bool {
    if session.isAdmin(broker) { return true }
    let status = (try? broker.status()) ?? []
    return status.contains { $0.key == "audit-readable" && $0.value == "all" }
  }

  /// Refuses filters that ask for what is another user's.
  func demandOwn() throws(CommandFailure) {
    let own = Confinement.effectiveUID
    let isForeignUser = filter.uid.map { $0 != own } ?? false
    guard isForeignUser || filter.pid != nil, !readsAll else { return }
    if isForeignUser {
      throw CommandFailure(
        .notPermitted, "\(session.command): not permitted: records of other users are for admins and readers",
        hint: "Ask as root, as a member of the policy's `admins:` group, or of the group `audit: { readers: … }`.")
    }
    // Whose process it is the broker says, and writes down who asked.
    _ = try session.asking(session.command) { () throws(PosternError) in
      try broker.associations(AssociationQuery(pid: filter.pid ?? 0))
    }
  }

  /// Why nothing is shown, one line each.
  func whyEmpty() -> [String] {
    var lines = diagnosis.explanation { "--\($0.condition == .uid ? "user" : $0.key) \($0.value.escaped)" }
    if !readsAll {
      lines.append("only records of your own uid are shown to you; those of others are for admins and readers")
    }
    return lines
  }
}

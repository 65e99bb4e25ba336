import Audit
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

extension AuditFilter {
  /// What this program cannot read is never left out silently.
  func matches(_ item: RecordItem) -> Bool {
    if case .record(let record) = item { return matches(record) }
    return true
  }
}

/// The audit journal as the broker lets us read it.
struct RecordSource {
  let session: Session
  let broker: PosternConnection
  let filter: AuditFilter

  /// All that match and were written after `start`, oldest first, page by page.
  ///
  /// - Returns: the sequence number after which the next ones will come.
  func forEachPage(
    after start: UInt64 = 0, _ body: ([RecordItem]) throws(CommandFailure) -> Void
  ) throws(CommandFailure) -> UInt64 {
    var after = start
    while true {
      let page = try read(AuditRead(after: after))
      try body(page.items)
      // A page that does not lead on is the last one.
      guard page.next > after else { return after }
      after = page.next
    }
  }

  /// The newest ones that match, oldest first, and where following begins.
  func newest(_ count: Int) throws(CommandFailure) -> (items: [RecordItem], next: UInt64) {
    if filter == AuditFilter(), let limit = UInt32(exactly: count) {
      let page = try read(AuditRead(mode: .newest, limit: limit))
      // One message holds only so many. If those are fewer than wanted, the journal is read from its start.
      if page.items.count >= count { return page }
    }
    var kept: [RecordItem] = []
    let next = try forEachPage { (items) throws(CommandFailure) in
      kept += items
      if kept.count > count { kept.removeFirst(kept.count - count) }
    }
    return (kept, next)
  }

  /// Where the journal ends now.
  func end() throws(CommandFailure) -> UInt64 { try read(AuditRead(mode: .newest, limit: 1)).next }

  /// Waits until there is something after `start`.
  func follow(after start: UInt64) throws(CommandFailure) -> (items: [RecordItem], next: UInt64) {
    try read(AuditRead(mode: .follow, after: start))
  }

  private func read(_ request: AuditRead) throws(CommandFailure) -> (items: [RecordItem], next: UInt64) {
    let page = try session.asking(session.command) { () throws(PosternError) in try broker.auditRead(request) }
    return (page.records.map { RecordItem($0) }.filter { filter.matches($0) }, page.next)
  }
}

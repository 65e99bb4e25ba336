import Audit
import Linux
import Postern
import Synchronization
import Wire

/// Reads the journal's newest records, and then what comes, on a thread of its own, for as long as the process lives.
///
/// What it has read waits in a box of bounded size; while that is full nothing is read, since the journal keeps it.
final class RecordFeed: Sendable {
  enum News: Sendable {
    case records([AuditRecord], unreadable: Int)
    /// So many sequence numbers were passed over.
    case skipped(UInt64)
    case brokerLost(String)
    case brokerBack
    /// The broker says no: there will be nothing more.
    case ended(CommandFailure)
  }

  /// Readable when there is news.
  let arrived: EventDescriptor
  private let room: EventDescriptor
  private let box = Mutex<[News]>([])

  private static let boxSize = 8
  /// Nanoseconds between two attempts to reach a broker that is gone.
  private static let patience: UInt64 = 1_000_000_000

  /// - Parameters:
  ///   - filter: only these; what they leave out is not news.
  ///   - newest: so many are wanted at the beginning, and so many are worth reading after a pause.
  init(_ broker: PosternConnection, filter: AuditFilter, newest: Int, command: String) throws(SystemError) {
    arrived = try EventDescriptor()
    room = try EventDescriptor(semaphore: true)
    _ = try Thread("record-feed") { [self] in
      run(broker, filter: filter, newest: UInt64(newest), command: command)
    }
  }

  /// Some of what has come, oldest first, and whether there is more.
  func take(_ limit: Int) -> (news: [News], hasMore: Bool) {
    let (taken, rest, wasFull) = box.withLock { box in
      let wasFull = box.count >= Self.boxSize
      let taken = Array(box.prefix(limit))
      box.removeFirst(taken.count)
      return (taken, box.count, wasFull)
    }
    if wasFull { room.signal() }
    return (taken, rest > 0)
  }

  /// - Returns: whether there was no room for it at first.
  private func put(_ news: News) -> Bool {
    var hasWaited = false
    while true {
      let isIn = box.withLock { box in
        let hasRoom = box.count < Self.boxSize
        if hasRoom { box.append(news) }
        return hasRoom
      }
      if isIn { break }
      room.wait()
      hasWaited = true
    }
    arrived.signal()
    return hasWaited
  }

  private func run(_ broker: PosternConnection, filter: AuditFilter, newest: UInt64, command: String) {
    let isWhole = filter != AuditFilter()
    var after: UInt64?
    var isLost = false
    while true {
      do throws(PosternError) {
        let end = after == nil || isLost ? try broker.auditRead(AuditRead(mode: .newest, limit: 1)).next : nil
        if let end {
          // Another broker's journal, or this one's begun anew, may be shorter than what was read.
          after = min(after ?? (isWhole || end < newest ? 0 : end - newest), end)
        }
        // Said before there is anything new, which may take long.
        if isLost { _ = put(.brokerBack) }
        isLost = false
        let page = try broker.auditRead(AuditRead(mode: .follow, after: after ?? 0))
        after = max(after ?? 0, page.next)
        guard let news = Self.news(page.records, filter) else { continue }
        if put(news), !isWhole, let position = after {
          let end = try broker.auditRead(AuditRead(mode: .newest, limit: 1)).next
          if end > position, end - position > newest {
            _ = put(.skipped(end - newest - position))
            after = end - newest
          }
        }
      } catch {
        let failure = CommandFailure(error, during: command)
        guard failure.status == .unreachable else {
          _ = put(.ended(failure))
          return
        }
        if !isLost { _ = put(.brokerLost(failure.text)) }
        isLost = true
        Clock.sleep(nanoseconds: Self.patience)
      }
    }
  }

  private static func news(_ rows: [AuditRow], _ filter: AuditFilter) -> News? {
    var records: [AuditRecord] = []
    var unreadable = 0
    for row in rows {
      switch RecordItem(row) {
      case .record(let record): if filter.matches(record) { records.append(record) }
      case .unreadable: unreadable += 1
      }
    }
    return records.isEmpty && unreadable == 0 ? nil : .records(records, unreadable: unreadable)
  }
}

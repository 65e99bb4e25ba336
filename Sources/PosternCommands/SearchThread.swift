import Audit
import AuditViewer
import Linux
import Synchronization

/// Looks for records behind those that a viewer keeps, on a thread and a connection of its own.
final class SearchThread: Sendable {
  /// Readable when something was found, or it is known that there is nothing.
  let found: EventDescriptor
  private let asked: EventDescriptor
  private let wanted = Mutex<Viewer.Search?>(nil)
  private let result = Mutex<Viewer.SearchResult?>(nil)

  /// Numbers that are looked at for one question, and records that answer it at most.
  private static let span: UInt64 = 100_000
  private static let most = 1000

  /// - Parameters:
  ///   - socket: the broker's.
  ///   - base: what every record has to meet beside the viewer's filter.
  init(socket: String, base: AuditFilter, command: String) throws(SystemError) {
    found = try EventDescriptor()
    asked = try EventDescriptor(semaphore: true)
    _ = try Thread("search") { [self] in
      while true {
        asked.wait()
        // Of several that were asked meanwhile the last one counts.
        guard let search = wanted.withLock({ $0.take() }) else { continue }
        guard let result = answer(search, socket: socket, base: base, command: command) else { continue }
        self.result.withLock { $0 = result }
        found.signal()
      }
    }
  }

  func ask(_ search: Viewer.Search) {
    wanted.withLock { $0 = search }
    asked.signal()
  }

  /// What was found last, once.
  func take() -> Viewer.SearchResult? {
    found.drain()
    return result.withLock { $0.take() }
  }

  /// nil: something else was asked meanwhile.
  private func answer(
    _ search: Viewer.Search, socket: String, base: AuditFilter, command: String
  ) -> Viewer.SearchResult? {
    do throws(CommandFailure) {
      let session = Session(silent: command, socket: socket)
      let source = RecordSource(session: session, broker: try session.connect(), filter: base)
      let before: UInt64
      if let given = search.before { before = given } else { before = try source.end() &+ 1 }
      let older = try source.older(than: before, Self.most, span: Self.span, matching: search.filter) {
        wanted.withLock { $0 == nil }
      }
      return older.map { Viewer.SearchResult(search: search, records: $0.records, from: $0.from) }
    } catch {
      return Viewer.SearchResult(search: search, records: [], from: search.before ?? 0, obstacle: error.text)
    }
  }
}

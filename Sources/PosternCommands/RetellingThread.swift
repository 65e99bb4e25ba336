import AuditAnalysis
import AuditViewer
import Linux
import Synchronization

/// Retells records on a thread and a connection of its own: to look at what came before one may take a second.
final class RetellingThread: Sendable {
  /// Readable when something has been retold.
  let told: EventDescriptor
  private let asked: EventDescriptor
  private let wanted = Mutex<UInt64?>(nil)
  private let detail = Mutex<Detail?>(nil)

  /// - Parameters:
  ///   - socket: the broker's.
  ///   - policy: its path; nil: the running broker's.
  init(socket: String, policy: String?, command: String) throws(SystemError) {
    told = try EventDescriptor()
    asked = try EventDescriptor(semaphore: true)
    // A policy is parsed here, for which the usual stack of a thread is meant.
    _ = try Thread("retelling", stackSize: 8 << 20) { [self] in
      let session = Session(silent: command, socket: socket)
      while true {
        asked.wait()
        // Of several that were asked for meanwhile the last one counts.
        guard let id = wanted.withLock({ $0.take() }) else { continue }
        let detail = Self.detail(id, session, policy: policy)
        self.detail.withLock { $0 = detail }
        told.signal()
      }
    }
  }

  func ask(_ id: UInt64) {
    wanted.withLock { $0 = id }
    asked.signal()
  }

  /// What was retold last, once.
  func take() -> Detail? {
    told.drain()
    return detail.withLock { $0.take() }
  }

  private static func detail(_ id: UInt64, _ session: Session, policy: String?) -> Detail {
    do {
      let records = RecordSource(session: session, broker: try session.connect())
      let retelling = try Retelling(id, records, policy: policy)
      let suggestion = retelling.suggestion()
      return Detail(
        sequence: id, parts: retelling.parts, suggestion: suggestion?.suggestion.lines ?? [],
        diff: suggestion?.diff ?? [])
    } catch {
      return Detail(sequence: id, obstacle: error.text)
    }
  }
}

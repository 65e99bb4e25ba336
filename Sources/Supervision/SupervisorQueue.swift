import Linux
import Synchronization

/// From the supervisors' threads to the one that decides.
public final class SupervisorQueue: Sendable {
  private let messages = Mutex<[SupervisorMessage]>([])
  /// Readable while something waits.
  public let event: EventDescriptor

  public init() throws(SystemError) { event = try EventDescriptor() }

  public func post(_ message: SupervisorMessage) {
    let isFirst = messages.withLock { waiting in
      waiting.append(message)
      return waiting.count == 1
    }
    if isFirst { event.signal() }
  }

  /// Takes everything that waits.
  public func take() -> [SupervisorMessage] {
    event.drain()
    return messages.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}

import FlyingFox
import FlyingSocks
import Synchronization

/// Bounds what connections can hold that do nothing: each waits for its peer so long, and so many wait at a time.
///
/// The server waits for ever by itself, and takes whoever comes. Every wait of a connection, for a request or for room to
/// answer, goes through the server's pool: one that is given up there ends with an error, and the server closes it.
final class PatientPool: AsyncSocketPool {
  /// Connections that wait for their peers; the one that has waited longest is given up for the next.
  private static let mostWaiting = 64
  private static let patience = Duration.seconds(10)

  private struct Waits {
    var next: UInt64 = 0
    var tasks: [(number: UInt64, task: Task<Void, any Error>)] = []
  }

  private let pool: any AsyncSocketPool
  private let waits = Mutex(Waits())

  init(_ pool: any AsyncSocketPool) { self.pool = pool }

  func prepare() async throws { try await pool.prepare() }
  func run() async throws { try await pool.run() }

  func suspendSocket(_ socket: Socket, untilReadyFor events: Socket.Events) async throws {
    // The one that listens has no peer, and all the time there is.
    guard (try? socket.remotePeer()) != nil else { return try await pool.suspendSocket(socket, untilReadyFor: events) }
    let pool = pool
    let task = Task { try await pool.suspendSocket(socket, untilReadyFor: events) }
    let number = enter(task)
    let timer = Task {
      try await Task.sleep(for: Self.patience)
      task.cancel()
    }
    defer {
      timer.cancel()
      waits.withLock { waits in waits.tasks.removeAll { $0.number == number } }
    }
    try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
  }

  private func enter(_ task: Task<Void, any Error>) -> UInt64 {
    waits.withLock { waits in
      let number = waits.next
      waits.next += 1
      waits.tasks.append((number, task))
      if waits.tasks.count > Self.mostWaiting { waits.tasks.removeFirst().task.cancel() }
      return number
    }
  }
}

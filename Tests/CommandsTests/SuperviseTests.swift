import Foundation
import Glibc
import Instructions
import Linux
import Postern
import Synchronization
import Testing

/// A thread whose opens are notified of; it makes one when it is told to.
private final class NotifiedThread: Sendable {
  private struct Missing: Error {}

  private let listener = Mutex<Descriptor?>(nil)
  private let installed: EventDescriptor
  private let begin: EventDescriptor
  private let finished = Atomic<Bool>(false)

  init() throws {
    installed = try EventDescriptor(semaphore: true)
    begin = try EventDescriptor(semaphore: true)
    _ = try Thread("notified") { [self] in
      if let own = try? NotificationFilter.install(.open) { put(own) }
      installed.signal()
      begin.wait()
      _ = try? ProcFile.read("/proc/self/stat")
      finished.store(true, ordering: .relaxed)
    }
    installed.wait()
  }

  private func put(_ own: consuming Descriptor) {
    var own: Descriptor? = own
    listener.withLock { $0 = own.take() }
  }

  var isFinished: Bool { finished.load(ordering: .relaxed) }
  func start() { begin.signal() }

  func takeListener() throws -> NotificationListener {
    guard let taken = listener.withLock({ $0.take() }) else { throw Missing() }
    return try NotificationListener(taken)
  }
}

@Suite struct SuperviseTests {
  @Test func `a broker that is given a listener answers, and gives the ledger`() throws {
    let seen = Atomic<Int>(0)
    let broker = try FakeBroker(plan: []) { _ in
      seen.add(1, ordering: .relaxed)
      return .letThrough
    }
    let thread = try NotifiedThread()
    let listener = try thread.takeListener()
    let connection = try PosternConnection(path: broker.path)
    let ledger = try NotificationLedgerReader(try connection.supervise(listener, .open))
    #expect(ledger.unanswered().highest == nil)
    thread.start()
    #expect(RealCommand.wait { thread.isFinished })
    #expect(seen.load(ordering: .relaxed) == 1)
    #expect(ledger.unanswered().highest != nil)
  }

  @Test func `without the ledger a call that a dead broker had received waits for ever`() throws {
    let thread = try NotifiedThread()
    let listener = try thread.takeListener()
    let ledger = try NotificationLedger()
    thread.start()
    var received: UInt64?
    #expect(
      try RealCommand.wait {
        if case .notification(let call) = try listener.receive(into: ledger) { received = call.id }
        return received != nil
      })
    // The broker is dead. Whoever holds the listener beside it receives nothing, however long it tries.
    let keeper = try listener.duplicate()
    for _ in 0..<30 {
      if case .notification = try keeper.receive() { Issue.record("it was delivered twice") }
      usleep(10_000)
    }
    #expect(!thread.isFinished)
    let unanswered = try NotificationLedgerReader(try ledger.duplicate()).unanswered()
    #expect(unanswered.ids == received.map { [$0] })
    for id in unanswered.ids { _ = try keeper.letThrough(id) }
    #expect(RealCommand.wait { thread.isFinished })
  }
}

import Instructions
import Linux
import Postern
import Synchronization
import Testing
import Wire

/// A listener whose connections the test hands in; it keeps the protocol's promises about waiting and readiness.
final class FakeListener: Sendable {
  struct State {
    var waiting = 0
    var parked: [(FakeChannel, UInt64)] = []
    var armed: [(FakeChannel, UInt64)] = []
    var instructions = 0
  }

  let state = Mutex(State())

  /// One more connection waits to be accepted.
  func arrive() {
    state.withLock { state in
      state.waiting += 1
      settle(&state)
    }
  }

  var answerer: FakeBroker.Answerer {
    { [self] frames, channel in
      state.withLock { state in
        for frame in frames {
          state.instructions += 1
          let cookie = frame.frame.cookie
          switch frame.frame.action {
          case .arm: state.armed.append((channel, cookie))
          case .cancel: channel.complete(CompletionFrame(cookie: cookie, result: -2))
          case .perform(.accept):
            if state.waiting > 0 || !frame.frame.flags.contains(.nonblocking) {
              state.parked.append((channel, cookie))
            } else {
              channel.complete(CompletionFrame(cookie: cookie, result: -11))
              if frame.frame.flags.contains(.wantReadiness) { state.armed.append((channel, cookie)) }
            }
          case .perform: channel.complete([frame.done()])
          }
        }
        settle(&state)
      }
    }
  }

  /// Those who wait come first; readiness is told of what is left.
  private func settle(_ state: inout State) {
    while state.waiting > 0, !state.parked.isEmpty {
      let (channel, cookie) = state.parked.removeFirst()
      state.waiting -= 1
      guard let pair = try? MessageSocket.pair() else { continue }
      channel.complete(
        [(CompletionFrame(flags: .descriptor, cookie: cookie, result: 0), [])], descriptor: pair.first.rawValue)
    }
    guard state.waiting > 0 else { return }
    for (channel, cookie) in state.armed {
      channel.complete(
        CompletionFrame(kind: .ready, cookie: cookie, result: Int64(Readiness.input.rawValue)))
    }
    state.armed = []
  }
}

/// Whether a connection was there; it is closed at once.
func accepts(_ channel: any OpenedObject, nonblocking: Bool) throws -> Bool {
  switch try channel.accept(nonblocking: nonblocking) {
  case .some(let accepted):
    _ = consume accepted
    return true
  case nil: return false
  }
}

@Suite struct ReadinessTests {
  private func serving(_ body: (FakeListener, any OpenedObject) throws -> Void) throws {
    let listener = FakeListener()
    let broker = try FakeBroker(kind: .socket, answer: listener.answerer)
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("web")
      // The fake cannot arm by itself at open, as the broker does: the first call that finds nothing does it.
      try #expect(channel.accept(nonblocking: true) == nil)
      try body(listener, channel)
    }
  }

  private func readable(_ channel: any OpenedObject, within milliseconds: Int32 = 1000) throws -> Bool {
    try isReadable(channel.number, timeoutMilliseconds: milliseconds)
  }

  @Test func `the descriptor is not readable while nothing waits`() throws {
    try serving { _, channel in try #expect(!readable(channel, within: 50)) }
  }

  @Test func `the descriptor becomes readable when a connection arrives`() throws {
    try serving { listener, channel in
      listener.arrive()
      try #expect(readable(channel))
      try #expect(channel.accept(nonblocking: true) != nil)
    }
  }

  @Test func `after one of two connections was accepted the descriptor is readable again`() throws {
    try serving { listener, channel in
      listener.arrive()
      try #expect(readable(channel))
      listener.arrive()
      try #expect(channel.accept(nonblocking: true) != nil)
      try #expect(readable(channel))
      try #expect(channel.accept(nonblocking: true) != nil)
      try #expect(channel.accept(nonblocking: true) == nil)
    }
  }

  @Test func `readiness comes again after a blocking accept`() throws {
    try serving { listener, channel in
      listener.arrive()
      try #expect(readable(channel))
      try #expect(channel.accept() != nil)
      try #expect(!readable(channel, within: 50))
      listener.arrive()
      try #expect(readable(channel))
    }
  }

  @Test func `a blocking accept waits for a connection`() throws {
    try serving { listener, channel in
      let thread = try Thread("arrives") {
        _ = try? isReadable(-1, timeoutMilliseconds: 50)
        listener.arrive()
      }
      let accepted = Result { try accepts(channel, nonblocking: false) }
      thread.join()
      try #expect(accepted.get())
    }
  }

  @Test func `a blocking accept waits also where O_NONBLOCK is not set but the socket was empty`() throws {
    try serving { listener, channel in
      let count = listener.state.withLock { $0.instructions }
      listener.arrive()
      _ = try channel.accept()
      // One instruction, and at most one arm.
      #expect(listener.state.withLock { $0.instructions } <= count + 2)
    }
  }

  @Test func `eight threads accept eight connections at once`() throws {
    try serving { listener, channel in
      let accepted = Atomic<Int>(0)
      let feeder = try Thread("feeds") {
        for _ in 0..<80 { listener.arrive() }
      }
      try withThreads(8) { _ in
        for _ in 0..<10 where (try? accepts(channel, nonblocking: false)) == true {
          accepted.add(1, ordering: .relaxed)
        }
      }
      feeder.join()
      #expect(accepted.load(ordering: .relaxed) == 80)
    }
  }

  @Test func `a notice that something was taken back is remembered, and the broker is asked all the same`() throws {
    let broker = try FakeBroker { frames, channel in
      channel.complete([
        (CompletionFrame(kind: .changed, cookie: 0, result: 0, reason: .revoked), []), frames[0].done([7]),
      ])
    }
    try broker.serving {
      let channel = try #require(try PosternConnection(path: broker.path).open("disk") as? Channel)
      try #expect(read(channel, 1) == [7])
      #expect(channel.endedBecause == .revoked)
      try #expect(read(channel, 1) == [7])
    }
  }
}

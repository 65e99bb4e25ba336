import Foundation
import Instructions
import Linux
import Postern
import Synchronization
import TestSupport
import Testing
import Wire

/// A broker that breaks the protocol: the library answers with a typed error, leaks nothing, and uses that channel no more.
@Suite(.serialized) struct HostileBrokerTests {
  /// What a read says when the channel answers with these datagrams, and what the next read says.
  private func reads(
    answer: @escaping FakeBroker.Answerer
  ) throws -> (first: PosternError?, second: PosternError?) {
    let broker = try FakeBroker(answer: answer)
    return try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      return (failure { _ = try read(channel, 16) }, failure { _ = try read(channel, 16) })
    }
  }

  @Test func `a completion cut off in the middle is a violation, and the channel stays refused`() throws {
    let errors = try reads { frames, channel in
      channel.send(Array(FakeChannel.encode([frames[0].done([1, 2, 3])]).dropLast()))
    }
    #expect(errors.first == .violation(.truncated))
    #expect(errors.second == .violation(.truncated))
  }

  @Test func `more bytes than asked for are a violation`() throws {
    let errors = try reads { frames, channel in channel.complete([frames[0].done([UInt8](repeating: 9, count: 17))]) }
    #expect(errors.first == .violation(.badLength))
  }

  @Test func `a result larger than the bytes that came is a violation`() throws {
    let errors = try reads { frames, channel in channel.complete([frames[0].done([1, 2], result: 16)]) }
    #expect(errors.first == .violation(.badLength))
  }

  @Test func `an errno that Linux does not have is a violation`() throws {
    let errors = try reads { frames, channel in channel.complete([frames[0].done(result: -70000)]) }
    #expect(errors.first == .violation(.badValue(.errno)))
  }

  @Test func `one instruction completed twice in a datagram is a violation`() throws {
    let errors = try reads { frames, channel in
      channel.complete([frames[0].done([1]), frames[0].done([1])])
    }
    #expect(errors.first == .violation(.badValue(.identity)))
  }

  @Test func `a completion with an unknown cookie is dropped`() throws {
    let errors = try reads { frames, channel in
      channel.complete(CompletionFrame(cookie: frames[0].frame.cookie &+ 77, result: 0))
      channel.complete([frames[0].done([1])])
    }
    #expect(errors.first == nil)
    #expect(errors.second == nil)
  }

  @Test func `an echoed instruction is a violation`() throws {
    let errors = try reads { frames, channel in
      var bytes = [UInt8](repeating: 0, count: 64)
      var span = bytes.mutableSpan
      try? frames[0].frame.encode(into: &span, index: 0)
      _ = try? InstructionBatch.encodeHeader(count: 1, payload: 0, into: &span)
      channel.send(bytes)
    }
    #expect(errors.first == .violation(.badMagic))
  }

  @Test func `a closed channel is a disconnection with ENOTCONN`() throws {
    let errors = try reads { _, channel in try? channel.socket.close() }
    guard case .disconnected? = errors.first else {
      Issue.record("\(String(describing: errors.first))")
      return
    }
    #expect(errors.second?.errno == SystemError.notConnected)
  }

  // Descriptors are counted in a process of their own: other tests open some meanwhile.
  @Test func `a descriptor that belongs to no completion is a violation and is closed`() async {
    await #expect(processExitsWith: .success) {
      let broker = try FakeBroker { frames, channel in
        channel.complete([frames[0].done([1])], descriptor: channel.socket.number)
      }
      try broker.serving {
        let connection = try PosternConnection(path: broker.path)
        try settled()
        let before = try descriptorCount()
        for _ in 0..<20 {
          let channel = try connection.open("disk")
          #expect(failure { _ = try read(channel, 16) } == .violation(.badCount))
        }
        try settled()
        try #require(try descriptorCount() == before)
      }
    }
  }

  @Test func `an accept without a descriptor is a violation`() throws {
    let broker = try FakeBroker(kind: .socket) { frames, channel in channel.complete([frames[0].done()]) }
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("web")
      #expect(failure { _ = try channel.accept() } == .violation(.badCount))
    }
  }

  @Test func `random datagrams never do more than fail the call`() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed \(seed)")
    let generator = Mutex(SplitMix(state: seed))
    let broker = try FakeBroker { frames, channel in
      // From a right answer with some bytes changed to nothing but noise.
      let bytes = generator.withLock { generator -> [UInt8] in
        var bytes = FakeChannel.encode([frames[0].done([1, 2, 3, 4])])
        switch generator.next() % 3 {
        case 0:
          for _ in 0...Int(generator.next() % 4) {
            bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
          }
        case 1: bytes.removeLast(Int(generator.next() % UInt64(bytes.count)))
        default: bytes = (0...Int(generator.next() % 300)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        }
        return bytes
      }
      channel.send(bytes)
      // Ends the wait where those bytes were well-formed and meant nothing.
      try? channel.socket.close()
    }
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      var outcomes: [String: Int] = [:]
      for _ in 0..<500 {
        let channel = try connection.open("disk")
        switch failure({ _ = try read(channel, 16) }) {
        case nil: outcomes["read", default: 0] += 1
        case .violation?: outcomes["violation", default: 0] += 1
        case .disconnected?: outcomes["disconnected", default: 0] += 1
        case .failed?, .refused?: outcomes["denied", default: 0] += 1
        case let other: Issue.record("seed \(seed): \(String(describing: other))")
        }
      }
      #expect(outcomes["violation", default: 0] > 100)
    }
  }

  @Test func `a control reply to another request is a violation, and the next request connects anew`() throws {
    let lies = Atomic<Bool>(false)
    let broker = try FakeBroker(
      intercept: { broker, request, id, socket in
        guard lies.exchange(false, ordering: .relaxed) else { return false }
        broker.send(.challenge(Nonce(low: 0, high: 0)), id &+ 1, socket)
        return true
      }, answer: memoryDisk(10))
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      lies.store(true, ordering: .relaxed)
      #expect(failure { _ = try connection.open("disk") } == .violation(.badValue(.requestID)))
      #expect(try read(connection.open("disk"), 4) == bytes(0..<4))
      #expect(broker.connections.load(ordering: .relaxed) == 2)
    }
  }

  @Test func `a broker that was started anew is connected to again`() throws {
    let drops = Atomic<Bool>(false)
    let broker = try FakeBroker(
      intercept: { broker, request, id, socket in
        guard case .open = request, drops.exchange(false, ordering: .relaxed) else { return false }
        try? socket.close()
        return true
      }, answer: memoryDisk(10))
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      drops.store(true, ordering: .relaxed)
      guard case .disconnected? = failure({ _ = try connection.open("disk") }) else {
        Issue.record("the request that was under way must not be repeated")
        return
      }
      #expect(try read(connection.open("disk"), 4) == bytes(0..<4))
    }
  }

  @Test func `no broker is unreachable with the errno of connect`() {
    let error = failure { _ = try PosternConnection(path: "/nonexistent/postern.sock") }
    guard case .unreachable(let system)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(SystemError.symbol(of: system.errno) == "ENOENT")
  }

  @Test func `opening and closing leaves the number of descriptors as it was`() async {
    await #expect(processExitsWith: .success) {
      let broker = try FakeBroker(answer: memoryDisk(100))
      try broker.serving {
        let connection = try PosternConnection(path: broker.path)
        for _ in 0..<5 { _ = try read(connection.open("disk"), 4) }
        try settled()
        let before = try descriptorCount()
        for _ in 0..<50 { _ = try read(connection.open("disk"), 4) }
        try settled()
        try #require(try descriptorCount() == before)
      }
    }
  }
}

/// The fake broker's threads close their ends within their poll time.
func settled() throws { _ = try isReadable(-1, timeoutMilliseconds: 120) }

func descriptorCount() throws -> Int {
  try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
}

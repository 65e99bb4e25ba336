import Authority
import Entity
import Glibc
import Instructions
import Linux
import Mediation
import Objects
import Synchronization
import Testing
import Wire

/// A cache as it must not be: it asks what was asked, and not who asks.
private struct CacheWithoutSender {
  private var granted: [Opcode: UInt64] = [:]

  mutating func check(_ instruction: Instruction, issuer: Issuer, now: UInt64, entity: SimulatedEntity) -> Bool {
    if granted[instruction.opcode] == entity.changes { return true }
    let changes = entity.changes
    switch entity.check(instruction, issuer: issuer, now: now) {
    case .granted:
      granted[instruction.opcode] = changes
      return true
    case .refused: return false
    }
  }
}

@Suite struct InterpreterTests {
  @Test func `what a session held is let go of when it is retired, whoever keeps a channel of it open`() throws {
    let session: Mediation.Session
    weak var held: FakeObject?
    do {
      let object = try FakeObject()
      held = object
      session = Mediation.Session(id: 1, objectID: Bench.object, object: object)
    }
    #expect(held != nil)
    session.retire()
    #expect(held == nil)
    #expect(session.isRecalled)
    #expect(session.object.readiness == nil)
  }

  @Test func `a child right after its parent does not get its parent's verdict`() throws {
    let bench = try Bench()
    try bench.send([InstructionFrame(.listen, 1)])
    try bench.send([InstructionFrame(.listen, 2)], from: Bench.child)
    try bench.send([InstructionFrame(.listen, 3)])
    #expect(try bench.received().map(\.reason) == [nil, .notAssociated, nil])
    #expect(bench.fake.performed.load(ordering: .relaxed) == 2)
    #expect(bench.notes.refusals == [.notAssociated])
  }

  @Test func `with a cache that leaves the sender out the child wins`() throws {
    let bench = try Bench()
    var cache = CacheWithoutSender()
    let listen = Instruction(opcode: .listen, object: Bench.object, operands: Operands())
    let holders = cache.check(listen, issuer: .process(Bench.holder), now: 1, entity: bench.entity)
    let childs = cache.check(listen, issuer: .process(Bench.child), now: 1, entity: bench.entity)
    #expect(holders && childs)
  }

  @Test func `a cached verdict ends with the expiry, a revoke and the object's generation`() throws {
    let bench = try Bench(expiry: 100)
    try bench.send([InstructionFrame(.listen, 1)], now: 99)
    try bench.send([InstructionFrame(.listen, 2)], now: 100)
    #expect(try bench.received().map(\.reason) == [nil, .expired])

    let revoked = try Bench()
    try revoked.send([InstructionFrame(.listen, 1)])
    _ = revoked.entity.drop(AssociationSelector(association: revoked.association.id), as: .revoked)
    try revoked.send([InstructionFrame(.listen, 2)])
    #expect(try revoked.received().map(\.reason) == [nil, .revoked])

    let replaced = try Bench()
    try replaced.send([InstructionFrame(.listen, 1)])
    _ = try replaced.entity.replaceObject(
      ObjectRecord(id: Bench.object, kind: .socket, operations: .all, exclusive: false, footprint: nil))
    try replaced.send([InstructionFrame(.listen, 2)])
    #expect(try replaced.received().map(\.reason) == [nil, .stale])
  }

  @Test func `a verdict is reused for the same sender`() throws {
    let bench = try Bench()
    for cookie in UInt64(0)..<5 { try bench.send([InstructionFrame(.listen, cookie)]) }
    #expect(bench.channel.fastPath.hits == 4)
    #expect(bench.channel.fastPath.misses == 1)
  }

  @Test func `what waits is performed when the object is ready`() throws {
    let bench = try Bench()
    try bench.send([InstructionFrame(.accept, 1)])
    #expect(bench.channel.parked.count == 1)
    bench.resume()
    #expect(bench.channel.parked.count == 1, "it is not ready yet")
    bench.fake.isReady.store(true, ordering: .relaxed)
    bench.resume()
    #expect(bench.channel.parked.isEmpty)
    #expect(try bench.received().map(\.cookie) == [1])
    #expect(bench.notes.room == Int.max)
  }

  @Test func `what waits is checked again before it is performed`() throws {
    let bench = try Bench()
    try bench.send([InstructionFrame(.accept, 1)])
    _ = bench.entity.drop(AssociationSelector(association: bench.association.id), as: .revoked)
    bench.fake.isReady.store(true, ordering: .relaxed)
    bench.resume()
    #expect(try bench.received().map(\.reason) == [.revoked])
    #expect(bench.fake.performed.load(ordering: .relaxed) == 0)
  }

  @Test func `a process ends what it waits for itself, and nobody else does`() throws {
    let bench = try Bench()
    try bench.send([InstructionFrame(.accept, 1)])
    try bench.send([.cancel(1, 2)], from: Bench.child)
    #expect(try bench.received().map(\.result) == [-Int64(ENOENT)])
    #expect(bench.channel.parked.count == 1)
    try bench.send([.cancel(1, 3)])
    let ended = try bench.received()
    #expect(ended.map(\.cookie) == [1, 3])
    #expect(ended.map(\.result) == [-Int64(ECANCELED), 0])
  }

  @Test func `readiness is told once to who may know it, and to no stranger`() throws {
    let bench = try Bench()
    try bench.send([.arm(1)], from: Bench.child)
    #expect(try bench.received().map(\.reason) == [.notAssociated])
    try bench.send([.arm(2)])
    bench.resume()
    bench.resume()
    #expect(try bench.received().map(\.kind) == [.completion, .ready])
  }

  @Test func `a batch of 64 is answered in order, in which a refused one holds up none`() throws {
    let bench = try Bench()
    let frames = (0..<64).map { InstructionFrame($0 == 30 ? .discard : .read, UInt64($0), length: 3) }
    try bench.send(frames)
    let completions = try bench.received()
    #expect(completions.map(\.cookie) == (0..<64).map(UInt64.init))
    #expect(completions.filter { $0.reason != nil }.map(\.cookie) == [30])
  }

  @Test func `one instruction that is malformed performs nothing of its datagram`() throws {
    let bench = try Bench()
    #expect(throws: WireError.self) {
      var bytes = [UInt8](repeating: 0, count: InstructionBatch.payloadOffset(count: 2))
      var span = bytes.mutableSpan
      try InstructionFrame(.listen, 1).encode(into: &span, index: 0)
      try InstructionFrame(.listen, 2).encode(into: &span, index: 1)
      try InstructionBatch.encodeHeader(count: 2, payload: 0, into: &span)
      bytes[BatchHeader.size + InstructionFrame.size] = 0x77
      var buffer = MessageBuffer(capacity: bytes.count)
      buffer.append(bytes)
      let (channel, notes) = (bench.channel, bench.notes)
      try buffer.withSpans { elements, raw in
        try bench.interpreter.interpret(
          elements, raw, on: channel, issuer: Bench.holder, now: 1, observer: notes)
      }
    }
    #expect(bench.fake.performed.load(ordering: .relaxed) == 0)
  }

  @Test func `who has no room among the waiting is refused`() throws {
    let bench = try Bench()
    bench.notes.room = 1
    try bench.send([InstructionFrame(.accept, 1), InstructionFrame(.accept, 2)])
    #expect(try bench.received().map(\.reason) == [.quota])
    #expect(bench.channel.parked.map(\.frame.cookie) == [1])
  }

  @Test func `an application that does not read is congested, and reads all later`() throws {
    let bench = try Bench()
    var sent: UInt64 = 0
    while !bench.channel.isCongested {
      try bench.send([InstructionFrame(.read, sent, length: 65536)])
      sent += 1
    }
    #expect(bench.notes.queued == bench.channel.queuedBytes)
    #expect(bench.notes.queued > 65536)
    var cookies = try bench.received().map(\.cookie)
    while bench.channel.isCongested {
      let (channel, notes) = (bench.channel, bench.notes)
      try bench.interpreter.drain(channel, observer: notes)
      cookies += try bench.received().map(\.cookie)
    }
    #expect(cookies == (0..<sent).map { $0 })
    #expect(bench.notes.queued == 0)
  }

  @Test func `what waits for a thread is not begun once it is revoked`() throws {
    let bench = try Bench()
    try bench.pool.start()
    let fake = bench.fake
    // The one thread is held up in the first effect while the others wait behind it.
    let pool = bench.pool
    try fake.gate.withLock { _ in
      try bench.send((0..<8).map { InstructionFrame(.flush, UInt64($0)) })
      usleep(50_000)
      _ = bench.entity.drop(AssociationSelector(association: bench.association.id), as: .revoked)
    }
    var finished: [EffectPool.Finished] = []
    for _ in 0..<500 where finished.count < 8 {
      finished += pool.takeFinished()
      usleep(2000)
    }
    #expect(finished.count == 8)
    #expect(fake.performedBlocking.load(ordering: .relaxed) == 1)
    let (channel, notes) = (bench.channel, bench.notes)
    for job in finished { bench.interpreter.finished(job, on: channel, observer: notes) }
    #expect(try bench.received().filter { $0.reason == .revoked }.count == 7)
    pool.stop()
  }

  @Test func `a pool that is full takes no more and says so`() throws {
    let bench = try Bench(threads: 1)
    // Not started: nothing is taken away.
    try bench.send((0..<17).map { InstructionFrame(.flush, UInt64($0)) })
    #expect(bench.channel.running.count == 16)
    #expect(try bench.received().map(\.result) == [-Int64(EAGAIN)])
  }
}

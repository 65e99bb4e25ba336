import FakeKernel
import Glibc
import Instructions
import Linux
import Synchronization
import Testing
import Wire

@testable import Postern

/// A tcp socket on the loopback that listens.
private func listening() throws -> Descriptor {
  let socket = try Descriptor.socket(.tcp(.ipv4))
  try socket.bind(
    to: NetworkAddress(
      family: .ipv4, bytes: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], port: 0))
  try socket.listen(backlog: 8)
  return socket
}

/// What the library makes of the kernel's refusals: the system calls of these tests fail in the kernel.
@Suite struct DirectCheckTests {
  /// A disk whose calls are checked by `verdict`.
  private func disk(
    _ direct: FakeDirect? = nil, automatic: Bool = true, _ verdict: @escaping FakeCheck.Verdict,
    _ body: @escaping @Sendable (DirectObject, FakeCheck) throws -> Void
  ) throws {
    let direct = direct ?? FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    try direct.opened { disk in
      disk.connection.revalidatesAutomatically = automatic
      let check = FakeCheck(verdict)
      try check.checking(disk.number) { try body(disk, check) }
    }
  }

  private func untilRevalidated(_ direct: FakeDirect) -> FakeCheck.Verdict {
    { _, _ in direct.state.withLock { $0.revalidations.isEmpty } ? EKEYEXPIRED : 0 }
  }

  /// Every operation that the kernel checks, with the calls that it takes.
  private static let onDisks: [(Opcode, @Sendable (DirectObject) throws -> Void)] = [
    (.read, { try #expect(read($0, 3) == [1, 2, 3]) }),
    (.write, { try #expect($0.write([9].span, at: 1) == 1) }),
    (.flush, { try $0.flush() }),
    (.discard, { try $0.discard(offset: 0, length: 2) }),
  ]

  private static let onSockets: [(Opcode, @Sendable (DirectObject) throws -> Void)] = [
    (.bind, { try $0.bind() }),
    (.listen, { try $0.listen() }),
    (.accept, { try #expect(!accepts($0, nonblocking: false)) }),
    (.send, { object in #expect(failure { _ = try object.send([1].span) }?.errno == EPIPE) }),
    (
      .receive,
      { object in
        var bytes: [UInt8] = [0]
        var span = bytes.mutableSpan
        #expect(failure { _ = try object.receive(into: &span) }?.errno == ENOTCONN)
      }
    ),
    (.getoption, { try #expect($0.getOption(level: 1, name: 3) == [1, 0, 0, 0]) }),
    (.setoption, { try $0.setOption(level: 1, name: 12, [1, 0, 0, 0].span) }),
    (.shutdown, { try $0.shutdown(how: 0) }),
  ]

  @Test(arguments: onDisks.map(\.0))
  func `the first error on a disk is answered with one revalidation and one repetition`(opcode: Opcode) throws {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    let call = try #require(Self.onDisks.first { $0.0 == opcode }?.1)
    try disk(direct, untilRevalidated(direct)) { disk, check in
      try call(disk)
      #expect(check.calls.withLock { $0 } == [opcode, opcode])
      #expect(direct.state.withLock { $0.revalidations } == ["object"])
      #expect(disk.facts.association == AssociationID(rawValue: 101))
    }
  }

  @Test(arguments: onSockets.map(\.0))
  func `the first error on a socket is answered with one revalidation and one repetition`(opcode: Opcode) throws {
    let direct = FakeDirect(.socket) { try listening() }
    let call = try #require(Self.onSockets.first { $0.0 == opcode }?.1)
    try disk(direct, untilRevalidated(direct)) { socket, check in
      try call(socket)
      #expect(check.calls.withLock { $0 } == [opcode, opcode])
      #expect(direct.state.withLock { $0.revalidations } == ["object"])
    }
  }

  @Test func `the first error of a device request is answered with one revalidation and one repetition`() throws {
    let terminal = try Pseudoterminal()
    let direct = FakeDirect(.bus) { try terminal.near.duplicate() }
    try disk(direct, untilRevalidated(direct)) { line, check in
      let nothing: [UInt8] = []
      var answer: [UInt8] = [9, 9, 9, 9]
      var span = answer.mutableSpan
      try #expect(line.control(0x541b, argument: nothing.span, into: &span) == 0)
      #expect(answer == [0, 0, 0, 0])
      #expect(check.calls.withLock { $0 } == [.control, .control])
    }
    _ = consume terminal
  }

  @Test func `a revalidation that is refused is the second error, with the broker's reason and message`() throws {
    let refusal = Refusal(.refused, detail: .forkDenied, message: "no children here")
    let direct = FakeDirect(.disk, length: 3, second: refusal) { try scratchFile([1, 2, 3]) }
    try disk(direct, { _, _ in EKEYEXPIRED }) { disk, check in
      #expect(failure { _ = try read(disk, 1) } == .refused(refusal, errno: Reason.refused.errno))
      #expect(check.calls.withLock { $0 } == [.read])
    }
  }

  @Test func `a kernel that goes on refusing after a revalidation is not asked a third time`() throws {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    try disk(direct, { _, _ in EKEYEXPIRED }) { disk, check in
      #expect(
        failure { _ = try read(disk, 1) } == .refused(Refusal(.notAssociated), errno: Reason.notAssociated.errno))
      #expect(check.calls.withLock { $0 } == [.read, .read])
      #expect(direct.state.withLock { $0.revalidations.count } == 1)
    }
  }

  @Test func `switched off, the caller gets the first error and revalidates by hand`() throws {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    try disk(direct, automatic: false, untilRevalidated(direct)) { disk, check in
      #expect(
        failure { _ = try read(disk, 1) } == .refused(Refusal(.notAssociated), errno: Reason.notAssociated.errno))
      #expect(direct.state.withLock { $0.revalidations } == [])
      try disk.revalidate()
      try #expect(read(disk, 3) == [1, 2, 3])
      #expect(check.calls.withLock { $0 } == [.read, .read])
    }
  }

  @Test(arguments: [
    (EKEYREVOKED, Reason.revoked), (ESTALE, .stale), (EKEYREJECTED, .refused), (EACCES, .undecidable),
    (EPERM, .limit), (ENOENT, .noSuchObject),
  ])
  func `other refusals of the kernel are told as they are, without asking the broker`(errno: Int32, reason: Reason)
    throws
  {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    try disk(direct, { _, _ in errno }) { disk, check in
      #expect(failure { _ = try read(disk, 1) } == .refused(Refusal(reason), errno: errno))
      #expect(check.calls.withLock { $0 } == [.read])
      #expect(direct.state.withLock { $0.revalidations } == [])
    }
  }

  @Test func `what a device can answer itself is a failure and no refusal`() throws {
    try disk(nil, { operation, _ in operation == .write ? EPERM : EIO }) { disk, _ in
      #expect(failure { _ = try disk.write([1].span) } == .failed(errno: EPERM, text: ""))
      #expect(failure { _ = try read(disk, 1) } == .failed(errno: EIO, text: ""))
    }
    let direct = FakeDirect(.socket) { try .socket(.udp(.ipv4)) }
    try disk(direct, { _, _ in EACCES }) { socket, _ in
      #expect(failure { _ = try socket.send([1].span) } == .failed(errno: EACCES, text: ""))
    }
  }

  @Test func `EACCES is the refusal of an operation that was not granted`() throws {
    let direct = FakeDirect(.socket, operations: [.init(.receive)]) { try .socket(.udp(.ipv4)) }
    try disk(direct, { _, _ in EACCES }) { socket, _ in
      #expect(failure { _ = try socket.send([1].span) }?.refusal == Refusal(.operation))
      #expect(failure { _ = try socket.getOption(level: 1, name: 3) }?.refusal == Refusal(.operation))
    }
  }

  @Test func `what a descriptor was not opened for is told as an operation that was not granted`() {
    let read = OperationSet(.read)
    for errno in [EBADF, ESPIPE] {
      #expect(Reason(kernel: errno, .write, granted: read, isExpired: false) == .operation)
      #expect(Reason(kernel: errno, .read, granted: read, isExpired: false) == nil)
    }
    #expect(Reason(kernel: ESPIPE, .write, granted: OperationSet(.write), isExpired: false) == nil)
  }

  @Test func `an association whose time is over is told as expired`() {
    let read = OperationSet(.read)
    #expect(Reason(kernel: EKEYEXPIRED, .read, granted: read, isExpired: true) == .expired)
    #expect(Reason(kernel: EKEYEXPIRED, .read, granted: read, isExpired: false) == .notAssociated)
    #expect(Reason(kernel: EAGAIN, .read, granted: read, isExpired: true) == nil)
  }

  @Test func `an interrupted call is repeated`() throws {
    let count = Atomic<Int>(0)
    try disk(nil, { _, _ in count.add(1, ordering: .relaxed).newValue < 3 ? EINTR : 0 }) { disk, check in
      try #expect(read(disk, 3) == [1, 2, 3])
      #expect(check.calls.withLock { $0.count } == 3)
    }
  }

  @Test func `threads that fail together revalidate once`() throws {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    try direct.opened { disk in
      let check = FakeCheck(untilRevalidated(direct))
      let right = Atomic<Int>(0)
      // Threads that a checked thread starts are checked too.
      try check.checking(disk.number) {
        try withThreads(8) { _ in if (try? read(disk, 3)) == [1, 2, 3] { right.add(1, ordering: .relaxed) } }
      }
      #expect(right.load(ordering: .relaxed) == 8)
      #expect(direct.state.withLock { $0.revalidations.count } == 1)
    }
  }
}

/// fork(2) as the kernel and the library see it together.
@Suite(.serialized) struct DirectForkTests {
  /// Runs `child` in a forked child, which the check treats as a stranger until `direct` was asked for an association.
  private func forking(
    _ direct: FakeDirect, before: @escaping @Sendable (DirectObject) throws -> Void = { _ in },
    _ child: @escaping @Sendable (DirectObject) -> Int32, after: @escaping @Sendable (DirectObject) throws -> Void
  ) throws -> Int32 {
    let code = Mutex<Int32>(-2)
    try direct.opened { disk in
      let check = FakeCheck { _, isChild in
        isChild && direct.state.withLock { $0.revalidations.isEmpty } ? EKEYEXPIRED : 0
      }
      try check.checking(disk.number) {
        // What the child uses has been used before, so that it finds no lock of the runtime's held.
        try #expect(read(disk, 3) == [1, 2, 3])
        try before(disk)
        let pid = fake_kernel_fork()
        if pid == 0 { fake_kernel_end(child(disk)) }
        let ended = fake_kernel_wait(pid, 20_000)
        code.withLock { $0 = ended }
        try after(disk)
      }
    }
    return code.withLock { $0 }
  }

  @Test func `a child is refused, revalidates over a connection of its own, works, and gives up what is its own`()
    throws
  {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    let code = try forking(direct) { disk in
      guard (try? read(disk, 3)) == [1, 2, 3] else { return 1 }
      guard disk.facts.association == AssociationID(rawValue: 101) else { return 2 }
      guard (try? disk.close()) != nil else { return 3 }
      return 0
    } after: { disk in
      try #expect(read(disk, 3) == [1, 2, 3])
      #expect(disk.facts.association == AssociationID(rawValue: 5))
      #expect(direct.state.withLock { $0.released } == [AssociationID(rawValue: 101)])
    }
    #expect(code == 0)
    #expect(direct.state.withLock { $0.revalidations } == ["object"])
  }

  @Test func `a child without an association of its own closes and gives nothing up`() throws {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    let code = try forking(direct) { disk in
      guard disk.facts.association == nil else { return 1 }
      return (try? disk.close()) != nil ? 0 : 2
    } after: { disk in
      #expect(direct.state.withLock { $0.released } == [])
      try #expect(read(disk, 3) == [1, 2, 3])
    }
    #expect(code == 0)
  }

  @Test func `a child does not collect what its parent submitted`() throws {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    let code = try forking(direct) { disk in
      try #expect(disk.submit([Submission(.read, Operands(length: 3), token: 4)]) == 1)
    } _: { disk in
      (try? disk.complete(atMost: 4).isEmpty) == true ? 0 : 1
    } after: { disk in
      try #expect(disk.complete(atMost: 4).map(\.token) == [4])
    }
    #expect(code == 0)
  }
}

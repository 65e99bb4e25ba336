import Glibc
import Instructions
import Linux
import Postern
import Synchronization
import Testing
import Wire

@Suite struct DirectBatchTests {
  private func disk(_ body: (DirectObject) throws -> Void) throws {
    try FakeDirect(.disk, length: 8) { try scratchFile([0, 1, 2, 3, 4, 5, 6, 7]) }.opened(body)
  }

  @Test func `what is submitted is done at once and in order, and collected later`() throws {
    try disk { disk in
      let taken = try disk.submit([
        Submission(.write, Operands(offset: 1), payload: [9, 8], token: 1),
        Submission(.read, Operands(offset: 0, length: 4), token: 2),
        Submission(.flush, token: 3),
        Submission(.info, Operands(length: 32), token: 4),
        Submission(.discard, Operands(offset: 0, length: 8), token: 5),
      ])
      #expect(taken == 5)
      try #expect(read(disk, 8) == [0, 0, 0, 0, 0, 0, 0, 0])
      let first = try disk.complete(atMost: 2)
      #expect(first.map(\.token) == [1, 2])
      #expect(first.map(\.result) == [2, 4])
      #expect(first[1].payload == [0, 9, 8, 3])
      let rest = try disk.complete(atMost: 10, blocking: true)
      #expect(rest.map(\.token) == [3, 4, 5])
      #expect(rest.map(\.result) == [0, 32, 0])
      #expect(rest[1].payload == (try disk.info()))
      try #expect(disk.complete(atMost: 10, blocking: true).isEmpty)
    }
  }

  @Test func `refusals and failures complete as such, and nothing is revalidated`() throws {
    let direct = FakeDirect(.disk, length: 8) { try scratchFile([0, 1, 2, 3, 4, 5, 6, 7]) }
    try direct.opened { disk in
      let check = FakeCheck { operation, _ in operation == .read ? EKEYEXPIRED : EIO }
      try check.checking(disk.number) {
        let taken = try disk.submit([
          Submission(.read, Operands(length: 1), token: 1),
          Submission(.write, Operands(offset: 8), payload: [1], token: 2),
          Submission(.write, Operands(offset: 0), payload: [1], token: 3),
          Submission(.transfer, Operands(length: 1), token: 4),
        ])
        #expect(taken == 4)
        let completed = try disk.complete(atMost: 4)
        #expect(completed.map(\.result) == [EKEYEXPIRED, EPERM, EIO, EOPNOTSUPP].map { -Int64($0) })
        #expect(completed.map(\.refusal?.reason) == [.notAssociated, .limit, nil, nil])
      }
      #expect(direct.state.withLock { $0.revalidations } == [])
    }
  }

  @Test func `where completions wait to be collected no more is taken than has room`() throws {
    try disk { disk in
      let flushes = [Submission](repeating: Submission(.read, Operands(length: 1), token: 1), count: 700)
      try #expect(disk.submit(flushes) == 700)
      try #expect(disk.submit(flushes) == 324)
      try #expect(disk.submit(flushes) == 0)
      try #expect(disk.complete(atMost: 5000).count == 1024)
      try #expect(disk.submit(flushes) == 700)
    }
  }

  @Test func `what is too long is told where it is the first, and else not taken`() throws {
    try disk { disk in
      let long = Submission(.write, payload: [UInt8](repeating: 0, count: Bounds.payload + 1), token: 1)
      #expect(failure { _ = try disk.submit([long]) }?.errno == EMSGSIZE)
      try #expect(disk.submit([Submission(.flush, token: 1), long]) == 1)
    }
  }

  @Test func `sockets take batches too`() throws {
    let loopback = NetworkAddress(
      family: .ipv4, bytes: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], port: 0)
    let socket = FakeDirect(.socket) {
      let socket = try Descriptor.socket(.udp(.ipv4))
      try socket.bind(to: loopback)
      try socket.setFlags(nonblocking: false, closeOnExec: true)
      return socket
    }
    try socket.opened { socket in
      let bound = try Descriptor(adopting: fcntl(socket.number, F_DUPFD_CLOEXEC, 0)).localAddress()
      let own = try #require(bound)
      let taken = try socket.submit([
        Submission(.receive, Operands(length: 8), nonblocking: true, token: 1),
        Submission(.send, Operands(address: own), payload: [1, 2, 3], token: 2),
        Submission(.receive, Operands(length: 2), nonblocking: true, token: 3),
        Submission(.getoption, Operands(length: 4, request: 1 << 16 | 3), token: 4),
        Submission(.connect, token: 5),
      ])
      #expect(taken == 5)
      let completed = try socket.complete(atMost: 5)
      #expect(completed.map(\.result) == [-Int64(EAGAIN), 3, 3, 4, -Int64(EDESTADDRREQ)])
      #expect(completed[2].payload == [1, 2])
      #expect(completed[2].address == own)
      #expect(completed[3].payload == [2, 0, 0, 0])
    }
  }
}

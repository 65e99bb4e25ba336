import Foundation
import Glibc
import Instructions
import Linux
import Postern
import Synchronization
import Testing
import Wire

@Suite struct DirectClosingTests {
  private let five = AssociationID(rawValue: 5)

  /// Other tests run beside these, and one of them may have got a number that was closed.
  private func isSameFile(_ number: Int32, _ other: Int32) -> Bool {
    var first = stat()
    var second = stat()
    guard unsafe fstat(number, &first) == 0, unsafe fstat(other, &second) == 0 else { return false }
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino
  }

  @Test func `closing closes the descriptor and gives the association up, once`() throws {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    try direct.opened { disk in
      let number = disk.number
      let kept = dup(number)
      defer { close(kept) }
      try disk.close()
      #expect(!isSameFile(number, kept))
      #expect(disk.number == -1)
      #expect(direct.state.withLock { $0.released } == [five])
      #expect(failure { try disk.close() }?.errno == EBADF)
      #expect(failure { _ = try read(disk, 1) }?.errno == EBADF)
      #expect(failure { try disk.revalidate() }?.errno == EBADF)
      #expect(failure { _ = try disk.submit([Submission(.read, token: 1)]) }?.errno == EBADF)
    }
    #expect(direct.state.withLock { $0.released } == [five])
  }

  @Test func `the last reference closes and gives up too`() throws {
    let direct = FakeDirect(.disk) { try scratchFile([1]) }
    let broker = try direct.broker()
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      var disk: (any OpenedObject)? = try connection.open("object")
      let number = try #require(disk?.number)
      let kept = dup(number)
      defer { close(kept) }
      disk = nil
      #expect(!isSameFile(number, kept))
      #expect(direct.state.withLock { $0.released } == [five])
    }
  }

  @Test func `a number that the application has closed and used again is not touched`() throws {
    let direct = FakeDirect(.disk, length: 3) { try scratchFile([1, 2, 3]) }
    let broker = try direct.broker()
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      var disk: (any OpenedObject)? = try connection.open("object")
      let number = try #require(disk?.number)
      let stranger = try scratchFile([7, 7, 7])
      #expect(dup2(stranger.rawValue, number) == number)
      let error = failure { _ = try disk?.write([1, 2].span) }
      #expect(error?.errno == EBADF)
      #expect(failure { _ = try disk.map { _ = try read($0, 3) } }?.errno == EBADF)
      #expect(failure { try disk?.close() }?.errno == EBADF)
      disk = nil
      var bytes = [UInt8](repeating: 0, count: 3)
      let count = unsafe pread(number, &bytes, 3, 0)
      #expect(count == 3, "the stranger's descriptor was closed")
      #expect(bytes == [7, 7, 7])
      close(number)
      #expect(direct.state.withLock { $0.released } == [five])
    }
  }

  @Test func `a socket's number that means another socket is not touched`() throws {
    try FakeDirect(.socket) { try .socket(.udp(.ipv4)) }.opened { socket in
      let stranger = try Descriptor.socket(.tcp(.ipv4))
      #expect(dup2(stranger.rawValue, socket.number) == socket.number)
      #expect(failure { try socket.listen() }?.errno == EBADF)
      #expect(failure { _ = try socket.getOption(level: 1, name: 3) }?.errno == EBADF)
      close(socket.number)
    }
  }

  @Test func `a broker that does not answer does not hold up whoever closes`() throws {
    let direct = FakeDirect(.disk, answersRelease: false) { try scratchFile([1]) }
    try direct.opened { disk in
      let start = Clock.monotonic()
      try disk.close()
      #expect(Clock.monotonic() - start < 2_000_000_000)
      #expect(direct.state.withLock { $0.released } == [five])
    }
  }

  @Test func `a broker that is gone does not hold up whoever closes`() throws {
    let direct = FakeDirect(.disk) { try scratchFile([1]) }
    var disk: (any OpenedObject)?
    do {
      let broker = try direct.broker()
      try broker.serving { disk = try PosternConnection(path: broker.path).open("object") }
    }
    let start = Clock.monotonic()
    try disk?.close()
    #expect(Clock.monotonic() - start < 2_000_000_000)
  }

  @Test func `closing gives up while another thread waits for an answer on the connection`() throws {
    let direct = FakeDirect(.disk) { try scratchFile([1]) }
    let broker = try FakeBroker(
      intercept: { broker, request, id, socket in
        // Never answered.
        if case .auditRead = request { return true }
        return direct.answer(broker, request, id, socket)
      }, answer: { _, _ in })
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      let disk = try connection.open("object")
      let thread = try Thread("follows") { _ = try? connection.auditRead(AuditRead(mode: .follow)) }
      _ = try isReadable(-1, timeoutMilliseconds: 50)
      let start = Clock.monotonic()
      try disk.close()
      #expect(Clock.monotonic() - start < 2_000_000_000)
      #expect(direct.state.withLock { $0.released } == [five])
      _ = consume thread
    }
  }
}

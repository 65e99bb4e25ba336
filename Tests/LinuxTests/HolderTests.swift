import Foundation
import Glibc
import Instructions
import Testing

@testable import Linux

/// What several holders of one listener come to: keeper, broker, and whoever else got it.
@Suite(.serialized) struct HolderTests {
  @Test func `a notification that another holder has taken in between blocks nobody`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    try filtered.waitForNotification()
    let other = try filtered.listener.duplicate()
    let id = try filtered.next().id
    let start = Date()
    guard case .wouldBlock = try other.take() else {
      Issue.record("it was received twice")
      return
    }
    #expect(Date().timeIntervalSince(start) < 2)
    #expect(try filtered.listener.answer(id, value: 0) == .delivered)
    #expect(try filtered.child.finish().first == "bind 0 0")
  }

  @Test func `without the guard a receive waits for the next notification`() throws {
    let filtered = try Filtered(.bind, "bind-twice", "0")
    try filtered.waitForNotification()
    let id = try filtered.next().id
    let other = try Child(["receive", "3"], inherited: filtered.listener.descriptor.rawValue)
    usleep(300_000)
    #expect(other.ended() == nil, "the guard is for nothing")
    #expect(try filtered.listener.answer(id, value: 0) == .delivered)
    #expect(try other.finish() == ["recv 0 0"])
    // What the other one took and left is still to be answered by whoever knows its id: the next one.
    #expect(try filtered.listener.answer(id + 1, value: 0) == .delivered)
    _ = try filtered.child.finish()
  }

  @Test func `with a keeper's copy a call goes on after the other holder is gone`() throws {
    let filtered = try Filtered(.bind, "bind-when-told", "0")
    let keeper = try filtered.listener.duplicate()
    // The other holder: gone with this scope.
    do { _ = try filtered.listener.duplicate() }
    try filtered.child.tell()
    #expect(try keeper.letThrough(try filtered.next(of: keeper).id) == .delivered)
    #expect(try filtered.child.finish().dropFirst().first == "bind 0 0")
  }

  @Test func `without a keeper's copy every notified call fails with ENOSYS`() throws {
    var child: Child?
    do {
      let filtered = try Filtered(.bind, "bind-when-told", "0")
      child = filtered.child
      #expect(try filtered.child.line() == "ready 0 0")
    }
    try child?.tell()
    #expect(try child?.finish() == ["bind -1 \(ENOSYS)", "port 0 0"])
  }

  @Test func `a caller that already waits fails with ENOSYS, too`() throws {
    var child: Child?
    do {
      let filtered = try Filtered(.bind, "bind", "0")
      child = filtered.child
      _ = try filtered.next()
    }
    #expect(try child?.finish() == ["bind -1 \(ENOSYS)", "port 0 0"])
  }

  @Test func `what a broker received before it was killed stands in the ledger`() throws {
    let filtered = try Filtered(.bind, "bind-when-told", "0")
    let broker = try Child(["die-receiving", "3"], inherited: filtered.listener.descriptor.rawValue)
    let reader = try ledger(of: broker)
    #expect(reader.unanswered().ids.isEmpty)
    try broker.tell()
    try filtered.child.tell()
    _ = try eventually("end of the broker") { broker.ended() }
    let left = reader.unanswered().ids
    #expect(left.count == 1)
    for id in left { #expect(try filtered.listener.letThrough(id) == .delivered) }
    #expect(try filtered.child.finish().dropFirst().first == "bind 0 0")
  }

  @Test func `without the kernel's writing into the ledger it is lost`() throws {
    let filtered = try Filtered(.bind, "bind-when-told", "0")
    let broker = try Child(["die-receiving-without-ledger", "3"], inherited: filtered.listener.descriptor.rawValue)
    let reader = try ledger(of: broker)
    try broker.tell()
    try filtered.child.tell()
    _ = try eventually("end of the broker") { broker.ended() }
    #expect(reader.unanswered().ids.isEmpty)
    guard case .wouldBlock = try filtered.listener.receive() else {
      Issue.record("it is delivered twice")
      return
    }
    usleep(100_000)
    #expect(filtered.child.ended() == nil, "it does not wait")
  }

  @Test func `what was received stands in the ledger before it is entered, and until the next is received`() throws {
    let filtered = try Filtered(.bind, "bind-twice", "0")
    let ledger = try NotificationLedger()
    let reader = try NotificationLedgerReader(try ledger.duplicate())
    let first = try filtered.next(into: ledger).id
    #expect(reader.unanswered().ids == [first])
    _ = ledger.begin(first)
    _ = try filtered.listener.answer(first, value: 0)
    ledger.end(first)
    let second = try filtered.next(into: ledger).id
    #expect(second == first + 1)
    #expect(reader.unanswered().ids == [second])
    _ = try filtered.listener.answer(second, value: 0)
    _ = try filtered.child.finish()
  }

  private func ledger(of broker: Child) throws -> NotificationLedgerReader {
    let words = try broker.line().split(separator: " ")
    return try NotificationLedgerReader(try ProcFile.open("/proc/\(broker.pid)/fd/\(words[1])"))
  }

  @Test func `a descriptor that is no listener is rejected`() throws {
    let socket = try Descriptor.socket(.unixStream)
    let event = try EventDescriptor()
    let epoll = try Epoll()
    let process = try ProcessPin.handle(of: getpid())
    let ledger = try NotificationLedger()
    try expectRejected(try ProcFile.open("/dev/null"))
    try expectRejected(try Descriptor.pin("/dev/null"))
    try expectRejected(try socket.duplicate())
    try expectRejected(try event.descriptor.duplicate())
    try expectRejected(try epoll.descriptor.duplicate())
    try expectRejected(try process.duplicate())
    try expectRejected(try ledger.duplicate())
  }

  @Test func `a file with a listener's name is rejected`() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/postern-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/anon_inode:seccomp notify"
    try Data().write(to: URL(fileURLWithPath: path))
    try expectRejected(try ProcFile.open(path))
  }

  private func expectRejected(_ descriptor: consuming Descriptor) throws {
    let shared = SharedDescriptor(descriptor)
    let error = #expect(throws: SystemError.self) {
      guard let descriptor = shared.take() else { return }
      _ = try NotificationListener(descriptor)
    }
    #expect(error?.errno == EINVAL)
  }

  @Test func `taking a listener over takes no notification, and makes it close-on-exec`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    try filtered.waitForNotification()
    let copy = try filtered.listener.descriptor.duplicate()
    try copy.setFlags(nonblocking: false, closeOnExec: false)
    let other = try NotificationListener(copy)
    #expect(flags(of: other.descriptor.rawValue) & 0o2000000 != 0)
    #expect(try other.answer(try filtered.next(of: other).id, value: 0) == .delivered)
    _ = try filtered.child.finish()
  }

  /// As fdinfo says: octal, O_CLOEXEC among them.
  private func flags(of fd: Int32) -> Int {
    let text = (try? ProcFile.read("/proc/self/fdinfo/\(fd)")).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("flags:") }
    return line?.split(whereSeparator: { $0 == "\t" || $0 == " " }).last.flatMap { Int($0, radix: 8) } ?? 0
  }
}

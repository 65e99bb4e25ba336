import CLinux
import Foundation
import Glibc
import Instructions
import Testing

@testable import Linux

@Suite(.serialized) struct NotifyingThreadTests {
  /// The loopback address with port 0, as it lies in memory.
  private static let address: [UInt8] = [2, 0, 0, 0, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)

  @Test func `a thread that is not the leader is found with its process`() throws {
    let filtered = try Filtered(.bind, "bind-in-thread", "0")
    let line = try filtered.child.line()
    let notification = try filtered.next()
    #expect(line == "tid \(notification.thread) 0")
    #expect(notification.thread != filtered.child.pid)
    let thread = try NotifyingThread(tid: notification.thread)
    #expect(thread.tid == notification.thread)
    #expect(thread.tgid == filtered.child.pid)
    #expect(try thread.read(at: notification.arguments.1, count: 16) == Self.address)
    let socket = try SocketDescription(of: try thread.fetch(Int32(notification.arguments.0)))
    #expect(socket.domain == AF_INET)
    #expect(try filtered.listener.isValid(notification.id) == true)
    _ = try filtered.listener.answer(notification.id, value: 0)
    _ = try filtered.child.finish()
  }

  @Test(arguments: [true, false])
  func `a thread whose leader has ended is found with its process`(threadHandle: Bool) throws {
    let filtered = try Filtered(.bind, "bind-without-leader", "0")
    let notification = try filtered.next()
    let thread = try NotifyingThread(tid: notification.thread, threadHandle: threadHandle)
    #expect(thread.tgid == filtered.child.pid)
    #expect(try thread.read(at: notification.arguments.1, count: 16) == Self.address)
    if threadHandle {
      #expect(try SocketDescription(of: try thread.fetch(Int32(notification.arguments.0))).domain == AF_INET)
    } else {
      // The leader has no table any more. Anything but a descriptor is right.
      #expect(throws: SystemError.self) { _ = try thread.fetch(Int32(notification.arguments.0)) }
    }
    _ = try filtered.listener.answer(notification.id, value: 0)
    _ = try filtered.child.finish()
  }

  @Test func `a descriptor is fetched from the thread's own table`() throws {
    let filtered = try Filtered(.bind, "bind-in-private-table", "0")
    let notification = try filtered.next()
    let number = Int32(notification.arguments.0)
    let thread = try NotifyingThread(tid: notification.thread)
    #expect(try thread.fetch(number).status().kind == .socket)
    // The guard off: the leader has something else under the same number.
    let leaders = Descriptor(adopting: clinux_pidfd_get(thread.pidfd.rawValue, number))
    #expect(try leaders.status().kind == .characterDevice)
    // A kernel without pidfds of threads: nothing rather than the leader's.
    let older = try NotifyingThread(tid: notification.thread, threadHandle: false)
    let error = #expect(throws: SystemError.self) { _ = try older.fetch(number) }
    #expect(error?.errno == ENOTSUP)
    _ = try filtered.listener.answer(notification.id, value: 0)
    _ = try filtered.child.finish()
  }

  @Test func `without a pidfd of threads a shared table serves`() throws {
    let filtered = try Filtered(.bind, "bind-in-thread", "0")
    let notification = try filtered.next()
    let thread = try NotifyingThread(tid: notification.thread, threadHandle: false)
    #expect(try thread.fetch(Int32(notification.arguments.0)).status().kind == .socket)
    _ = try filtered.listener.answer(notification.id, value: 0)
    _ = try filtered.child.finish()
  }

  @Test func `a number that the program has no descriptor under is EBADF`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    let notification = try filtered.next()
    let thread = try NotifyingThread(tid: notification.thread)
    for number: Int32 in [-1, 1000, .max] {
      let error = #expect(throws: SystemError.self) { _ = try thread.fetch(number) }
      #expect(error?.errno == EBADF)
    }
  }

  @Test func `memory that is not there is EFAULT`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    let notification = try filtered.next()
    let thread = try NotifyingThread(tid: notification.thread)
    for address: UInt64 in [0, 1, 0xffff_8000_0000_0000, .max] {
      let error = #expect(throws: SystemError.self) { _ = try thread.read(at: address, count: 16) }
      #expect(error?.errno == EFAULT)
    }
    #expect(try thread.read(at: 0, count: 0) == [])
  }

  @Test func `a string is read up to its end, also at the end of what is mapped`() throws {
    let filtered = try Filtered(.open, "open-at-page-end", "/the/path")
    let first = try filtered.next()
    let thread = try NotifyingThread(tid: first.thread)
    #expect(try thread.readString(at: first.arguments.1, limit: 4096) == Array("/the/path".utf8))
    #expect(try thread.readString(at: first.arguments.1, limit: 10) == Array("/the/path".utf8))
    let long = #expect(throws: SystemError.self) { _ = try thread.readString(at: first.arguments.1, limit: 9) }
    #expect(long?.errno == ENAMETOOLONG)
    // Its last byte and its NUL, then nothing is mapped: whole or not at all.
    let half = #expect(throws: SystemError.self) { _ = try thread.read(at: first.arguments.1, count: 11) }
    #expect(half?.errno == EFAULT)
    _ = try filtered.listener.fail(first.id, errno: ENOENT)
    let second = try filtered.next()
    let unended = #expect(throws: SystemError.self) {
      _ = try thread.readString(at: second.arguments.1, limit: 4096)
    }
    #expect(unended?.errno == EFAULT)
    _ = try filtered.listener.fail(second.id, errno: ENOENT)
    _ = try filtered.child.finish()
  }

  @Test func `a thread that has ended, and one that is not visible, are ESRCH`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    let notification = try filtered.next()
    let thread = try NotifyingThread(tid: notification.thread)
    try filtered.child.slay()
    for tid in [notification.thread, 0, -1] {
      let error = #expect(throws: SystemError.self) { _ = try NotifyingThread(tid: tid) }
      #expect(error?.errno == ESRCH)
    }
    #expect(throws: SystemError.self) { _ = try thread.read(at: notification.arguments.1, count: 16) }
    #expect(throws: SystemError.self) { _ = try thread.fetch(0) }
    #expect(throws: SystemError.self) { _ = try thread.facts() }
    #expect(try filtered.listener.isValid(notification.id) == false)
  }

  @Test(.enabled(if: Tier.root, "needs root"))
  func `a program that is not dumpable is looked at with CAP_SYS_PTRACE, and not without`() throws {
    let filtered = try Filtered(.bind, "bind-undumpable", "0")
    let notification = try filtered.next()
    let address = notification.arguments.1
    let number = Int32(notification.arguments.0)
    let tid = notification.thread
    let thread = try NotifyingThread(tid: tid)
    #expect(try thread.read(at: address, count: 16) == Self.address)
    #expect(try thread.fetch(number).status().kind == .socket)
    #expect(try thread.facts().networkNamespace != nil)
    let (read, fetch, network) = try onThread {
      try Confinement.limitCapabilities(to: Set(Capability.allCases).subtracting([.sysPtrace]))
      let thread = try NotifyingThread(tid: tid)
      let read = failure { _ = try thread.read(at: address, count: 16) }
      let fetch = failure { _ = try thread.fetch(number) }
      return (read, fetch, try thread.facts().networkNamespace)
    }
    #expect(read == EPERM)
    #expect(fetch == EPERM)
    #expect(network == nil)
    _ = try filtered.listener.answer(notification.id, value: 0)
    _ = try filtered.child.finish()
  }

  @Test(.enabled(if: Tier.root, "needs root"))
  func `who a thread is, is read from the thread`() throws {
    let filtered = try Filtered(.bind, "bind-as-others", "0")
    let notification = try filtered.next()
    let facts = try NotifyingThread(tid: notification.thread).facts()
    // Real, effective and saved ids are three different ones.
    #expect(facts.effectiveUID == 65532)
    #expect(facts.fsUID == 65531)
    #expect(facts.fsGID == 65521)
    #expect(facts.groups == [65541, 65542])
    #expect(facts.effectiveCapabilities == 0)
    #expect(facts.umask == 0o027)
    #expect(facts.noNewPrivileges)
    #expect(facts.networkNamespace == ProcessFacts.identity("/proc/self/ns/net"))
    #expect(facts.userNamespace == ProcessFacts.identity("/proc/self/ns/user"))
    _ = try filtered.listener.answer(notification.id, value: 0)
    _ = try filtered.child.finish()
  }

  @Test func `a thread can have a umask and a working directory of its own`() throws {
    let before = FileManager.default.currentDirectoryPath
    let mask = umask(0o022)
    umask(mask)
    let own = try onThread {
      try UnixBinding.separateThread()
      umask(0o777)
      _ = unsafe chdir("/proc")
      return try ProcFile.readLink("/proc/thread-self/cwd")
    }
    #expect(own == "/proc")
    #expect(FileManager.default.currentDirectoryPath == before)
    #expect(umask(mask) == mask)
  }
}

import Foundation
import Glibc
import Instructions
import Testing

@testable import Linux

@Suite(.serialized) struct ListenerTests {
  @Test func `a call that is answered with a value was not made by the kernel`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    let notification = try filtered.next()
    #expect(notification.thread == filtered.child.pid)
    #expect(try filtered.listener.isValid(notification.id) == true)
    #expect(try filtered.listener.answer(notification.id, value: 7) == .delivered)
    #expect(try filtered.child.finish() == ["bind 7 0", "port 0 0"])
  }

  @Test func `a call that is failed has the errno it was given`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    #expect(try filtered.listener.fail(try filtered.next().id, errno: EXFULL) == .delivered)
    #expect(try filtered.child.finish() == ["bind -1 \(EXFULL)", "port 0 0"])
  }

  @Test func `a call that is let through is made by the kernel`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    #expect(try filtered.listener.letThrough(try filtered.next().id) == .delivered)
    let said = try filtered.child.finish()
    #expect(said.first == "bind 0 0")
    #expect(said.last != "port 0 0")
  }

  @Test func `a descriptor that is injected is what the call returns`() throws {
    for closeOnExec in [false, true] {
      let filtered = try Filtered(.open, "open", "/nowhere")
      let file = try memoryFile("granted")
      let id = try filtered.next().id
      #expect(try filtered.listener.inject(id, file, closeOnExec: closeOnExec) == .delivered)
      #expect(try filtered.child.finish() == ["open 3 0", "close-on-exec \(closeOnExec ? 1 : 0) 0", "content granted"])
    }
  }

  @Test func `a full descriptor table fails the injection, and the program sees the answer that follows`() throws {
    let filtered = try Filtered(.open, "open-with-full-table", "/dev/null")
    let file = try memoryFile("granted")
    let notification = try filtered.next()
    let error = #expect(throws: SystemError.self) {
      try filtered.listener.inject(notification.id, file, closeOnExec: true)
    }
    #expect(error?.errno == EMFILE)
    #expect(try filtered.listener.isValid(notification.id) == true, "it still waits")
    #expect(try filtered.listener.fail(notification.id, errno: EMFILE) == .delivered)
    #expect(try filtered.child.finish() == ["open -1 \(EMFILE)"])
  }

  @Test func `every answer to a caller that was killed is gone`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    let id = try filtered.next().id
    try filtered.child.slay()
    let file = try memoryFile("granted")
    #expect(try filtered.listener.isValid(id) == false)
    #expect(try filtered.listener.inject(id, file, closeOnExec: true) == .gone)
    #expect(try filtered.listener.answer(id, value: 0) == .gone)
    #expect(try filtered.listener.fail(id, errno: EPERM) == .gone)
    #expect(try filtered.listener.letThrough(id) == .gone)
  }

  @Test func `a second answer is gone`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    let other = try filtered.listener.duplicate()
    let id = try filtered.next().id
    #expect(try filtered.listener.answer(id, value: 0) == .delivered)
    #expect(try other.letThrough(id) == .gone)
    #expect(try filtered.child.finish().first == "bind 0 0")
  }

  @Test func `a caller that is killed before it was received is interrupted, then there is none`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    try filtered.waitForNotification()
    try filtered.child.slay()
    guard case .interrupted = try filtered.listener.take() else {
      Issue.record("not interrupted")
      return
    }
    guard case .wouldBlock = try filtered.listener.receive() else {
      Issue.record("something was received")
      return
    }
  }

  @Test func `a signal does not take a caller out of a call that was received`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    let id = try filtered.next().id
    // Stops, and goes on: without WAIT_KILLABLE_RECV the call would start anew under another id.
    kill(filtered.child.pid, SIGSTOP)
    kill(filtered.child.pid, SIGCONT)
    usleep(20_000)
    #expect(try filtered.listener.isValid(id) == true)
    #expect(try filtered.listener.answer(id, value: 0) == .delivered)
    #expect(try filtered.child.finish().first == "bind 0 0")
  }

  @Test func `the end of the last program is a hang-up`() throws {
    let filtered = try Filtered(.bind, "bind", "0")
    let id = try filtered.next().id
    #expect(try filtered.listener.hasEnded == false)
    try filtered.child.slay()
    #expect(try filtered.listener.isValid(id) == false)
    // The thread that installed the filter is reaped a moment after it was joined.
    try eventually("hang-up") { try filtered.listener.hasEnded ? () : nil }
    let epoll = try Epoll()
    let events = Epoll.EventList(capacity: 1)
    try epoll.add(filtered.listener.descriptor.rawValue, [], token: 1)
    try epoll.wait(into: events, timeoutMilliseconds: 0)
    #expect(events.count == 1)
    #expect(events[0].events.contains(.hangUp))
  }

  @Test func `many processes are each answered with their own`() throws {
    let filtered = try Filtered(.bind, "forks", "50")
    var threads: Set<Int32> = []
    var ids: Set<UInt64> = []
    var waiting: [UInt64] = []
    for _ in 0..<50 {
      let notification = try filtered.next()
      threads.insert(notification.thread)
      ids.insert(notification.id)
      waiting.append(notification.id)
    }
    #expect(threads.count == 50)
    #expect(ids.count == 50)
    let first = try #require(ids.min())
    #expect(ids == Set(first..<(first + 50)), "the kernel counts")
    for (index, id) in waiting.enumerated() {
      #expect(
        try
          (index.isMultiple(of: 2)
          ? filtered.listener.letThrough(id) : filtered.listener.answer(id, value: index % 4 == 1 ? 0 : 1))
          == .delivered)
    }
    // 25 let through and bound, 13 told so, 12 told otherwise.
    #expect(try filtered.child.finish() == ["forks 38 0"])
  }
}

/// A memory file with this content.
func memoryFile(_ content: String) throws -> Descriptor {
  let scratch = FileManager.default.temporaryDirectory.path + "/postern-" + UUID().uuidString
  try Data(content.utf8).write(to: URL(fileURLWithPath: scratch))
  defer { try? FileManager.default.removeItem(atPath: scratch) }
  return try ProcFile.open(scratch)
}

import Foundation
import Glibc
import Instructions
import Testing

@testable import Linux

@Suite(.serialized) struct FilterTests {
  /// The x86_64 numbers that `series` makes calls by, in their order.
  private static let names: [Int32: String] = [
    49: "bind", 41: "socket", 2: "open", 85: "creat", 257: "openat", 437: "openat2",
  ]

  /// The names of the calls of `series` that are notified of, and what the program then saw of all of them.
  private func notified(_ calls: NotifiedCalls) throws -> (calls: [String], said: [String: String]) {
    let filtered = try Filtered(calls, "series")
    var seen: [String] = []
    let status = try eventually("end of the program") { () throws -> Int32? in
      if case .notification(let notification) = try filtered.listener.receive() {
        seen.append(Self.names[notification.number] ?? "\(notification.number)")
        _ = try filtered.listener.answer(notification.id, value: 1000)
      }
      return filtered.child.ended()
    }
    #expect(status == 0)
    var said: [String: String] = [:]
    for line in try filtered.child.rest() {
      let words = line.split(separator: " ")
      said[String(words[0])] = String(words[1])
    }
    return (seen, said)
  }

  @Test func `bind is notified of, and nothing else when nothing else is asked for`() throws {
    let (calls, said) = try notified(.bind)
    #expect(calls == ["bind"])
    #expect(said["bind"] == "1000")
    #expect(said.values.count { $0 == "1000" } == 1)
  }

  @Test func `sockets are notified of where they are packet or raw, whatever flags and dirt are with it`() throws {
    let (calls, said) = try notified(.socket)
    #expect(calls == ["socket", "socket", "socket", "socket"])
    let answered = said.filter { $0.value == "1000" }.keys.sorted()
    #expect(answered == ["socket-packet", "socket-packet-dirty", "socket-raw", "socket-raw6"])
  }

  @Test func `every kind of open is notified of`() throws {
    let (calls, said) = try notified(.open)
    #expect(Set(calls).isSuperset(of: ["open", "creat", "openat", "openat2"]))
    for name in ["open", "creat", "openat", "openat2"] { #expect(said[name] == "1000") }
    #expect(said["bind"] == "-1")
  }

  @Test func `a bind of the 32-bit ABI passes unnotified`() throws {
    let filtered = try Filtered(.bind, "bind32")
    let said = try filtered.child.finish()
    // Where the kernel runs no 32-bit calls there is nothing to pass.
    #expect(said == ["bind32 0 0"] || said == ["unsupported 0 0"])
    guard case .wouldBlock = try filtered.listener.receive() else {
      Issue.record("it was notified of")
      return
    }
  }

  @Test func `a second filter with a listener is EBUSY while the first listener is held`() throws {
    let (nested, afterwards) = try onThread {
      let first = try NotificationFilter.install(.bind)
      let nested = failure { _ = try NotificationFilter.install(.bind) }
      _ = consume first
      return (nested, failure { _ = try NotificationFilter.install(.bind) })
    }
    #expect(nested == EBUSY)
    #expect(afterwards == nil)
  }

  @Test func `only the calling thread gets the filter and no_new_privs`() throws {
    let (own, leader) = try onThread {
      let listener = try NotificationFilter.install(.bind)
      let status = (try Self.status("thread-self"), try Self.status("self"))
      _ = consume listener
      return status
    }
    #expect(own["Seccomp"] == "2")
    #expect(own["NoNewPrivs"] == "1")
    #expect(leader["NoNewPrivs"] == "0")
    #expect(leader["Seccomp_filters"] != own["Seccomp_filters"])
  }

  private static func status(_ whose: String) throws -> [String: String] {
    let text = String(decoding: try ProcFile.read("/proc/\(whose)/status"), as: UTF8.self)
    var values: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(maxSplits: 1) { $0 == ":" }
      values[String(words[0])] = words.last?.trimmingCharacters(in: .whitespaces)
    }
    return values
  }

  @Test func `every call of the machine's headers is classified, and the table agrees`() throws {
    var classes: [String: Substring] = [:]
    let list = try String(contentsOfFile: Program.root + "/Tests/LinuxTests/system-calls.txt", encoding: .utf8)
    for line in list.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      #expect(words.count == 2 && ["notified", "passed", "-"].contains(words[1]), "\(line)")
      #expect(classes.updateValue(words[1], forKey: String(words[0])) == nil, "\(words[0]) twice")
    }
    let table = Set(NotificationFilter.table.map(\.name))
    let passed = Set(NotificationFilter.passed.map(\.name))
    #expect(Set(classes.filter { $0.value == "notified" }.keys) == table)
    #expect(Set(classes.filter { $0.value == "passed" }.keys) == passed)
    for name in try headerNames() {
      #expect(classes[name] != nil, "\(name) can open or bind, or cannot: say so in system-calls.txt")
    }
  }

  private func headerNames() throws -> [String] {
    let paths = ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"]
    let path = try #require(paths.first { FileManager.default.fileExists(atPath: $0) })
    let names = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").compactMap {
      line -> String? in
      let words = line.split(separator: " ")
      guard words.count > 2, words[0] == "#define", words[1].hasPrefix("__NR_") else { return nil }
      return String(words[1].dropFirst(5))
    }
    #expect(names.count > 300)
    return names
  }
}

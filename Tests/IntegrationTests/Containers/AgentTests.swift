import Foundation
import Glibc
import TestSupport
import Testing

/// The seccomp agent, against a program that speaks to it as crun does, byte for byte, and in every wrong way.
@Suite("A container's seccomp listener", .enabled(if: Tier.root)) struct AgentTests {
  private func run(_ policy: String = Agent.policy(), _ body: (Scene) throws -> Void) throws {
    var folder = ""
    var socket = ""
    var left: Scene?
    try Scene.run(policy, options: Agent.options) { scene in
      (folder, socket, left) = (scene.folder, scene.agentSocket, scene)
      try body(scene)
    }
    #expect(!FileManager.default.fileExists(atPath: socket), "the agent's socket is left in \(folder)")
    // Its broker has ended, and so have the containers.
    let isGone = eventually { left.map { Agent.keepers($0).isEmpty } ?? true }
    #expect(isGone, "a keeper is left")
  }

  @Test func `sent as crun sends it, lets the container bind what is granted`() throws {
    try run { scene in
      let container = try scene.container()
      #expect(try container("bind \(scene.address) 80") == "ok")
      #expect(try container("bind \(scene.address) 81") == "EACCES")
      let records = try scene.journal()
      #expect(records.contains { $0.kind == "grant" && $0.pid == container.pid && $0.object == "web" })
      let told = records.contains { $0.kind == "intent" && $0.message?.hasPrefix("container box: ") == true }
      #expect(told)
    }
  }

  @Test(arguments: ["send 1 l", "send 7 l", "send 300 l"])
  func `sent in pieces is taken, with the connection still open`(send: String) throws {
    try run { scene in
      let container = try scene.container(send: send)
      #expect(try container("bind \(scene.address) 80") == "ok")
    }
  }

  @Test func `what a runtime writes behind its message, in pieces of its own, does not fail`() throws {
    try run { scene in
      let container = try scene.runtime()
      for line in ["connect", "crun box", "pad 1000", "filter", "send 1 l", "forget", "become 65534"] {
        #expect(try container(line) == "ok", "\(line)")
      }
      #expect(try container("bind \(scene.address) 80") == "ok")
    }
  }

  @Test func `sent among others is the one that the message names, and the others are closed`() throws {
    try run { scene in
      let container = try scene.runtime()
      #expect(try container("connect") == "ok")
      let text =
        #"text {"ociVersion":"1.2.0","fds":["a","seccompFd","b"],"pid":\#(container.pid),"state":{"id":"box"}}"#
      #expect(try container(text) == "ok")
      #expect(try container("filter") == "ok")
      #expect(try container("send 1000 plp") == "ok")
      #expect(try container("forget") == "ok")
      #expect(try container("become 65534") == "ok")
      #expect(try container("bind \(scene.address) 80") == "ok")
    }
  }

  /// A message and how it is sent; none of them is a container's.
  struct Wrong: Sendable, CustomTestStringConvertible {
    var name: String
    var lines: [String]
    var testDescription: String { name }
  }

  static let wrong = [
    Wrong(name: "no descriptor", lines: ["crun box", "send 1000 -"]),
    Wrong(name: "a pipe", lines: ["crun box", "send 1000 p"]),
    Wrong(name: "one descriptor too many", lines: ["crun box", "send 1000 lp"]),
    Wrong(name: "as many as there can be", lines: ["crun box", "send 1000 l" + String(repeating: "p", count: 252)]),
    Wrong(name: "the listener with a later part", lines: ["crun box", "late 100 l"]),
    Wrong(
      name: "two listeners",
      lines: [
        #"text {"ociVersion":"1","fds":["seccompFd","seccompFd"],"pid":1,"state":{"id":"x"}}"#, "send 1000 ll",
      ]),
    Wrong(
      name: "another name",
      lines: [#"text {"ociVersion":"1","fds":["seccompfd"],"pid":1,"state":{"id":"x"}}"#, "send 1000 l"]),
    Wrong(
      name: "a pipe by the listener's name",
      lines: [
        #"text {"ociVersion":"1","fds":["x","seccompFd"],"pid":1,"state":{"id":"x"}}"#, "send 1000 lp",
      ]),
    Wrong(name: "no JSON", lines: ["text hello", "send 1000 l"]),
    Wrong(name: "something after it", lines: [#"text {} {}"#, "send 1000 l"]),
    Wrong(name: "only a beginning", lines: ["crun box", "cut 100", "send 1000 l", "close"]),
    Wrong(name: "nothing", lines: ["close"]),
    Wrong(
      name: "deeper than any message",
      lines: ["text " + String(repeating: #"{"a":"#, count: 3000), "send 65536 l", "close"]),
  ]

  @Test(arguments: wrong) func `sent wrongly is refused and recorded, and nothing of it is kept`(wrong: Wrong) throws {
    try run { scene in
      let runtime = try scene.runtime()
      #expect(try runtime("connect") == "ok")
      #expect(try runtime("filter") == "ok")
      for line in wrong.lines {
        let answer = try runtime(line)
        #expect(answer == "ok", "\(line.prefix(40))")
      }
      if wrong.lines.last != "close" { #expect(try runtime("closed") == "closed") }
      let isRecorded = try eventually {
        try scene.journal().contains { $0.kind == "refusal" && $0.message?.contains("container runtime") == true }
      }
      #expect(isRecorded)
      // The agent serves others.
      let container = try scene.container("other")
      #expect(try container("bind \(scene.address) 80") == "ok")
    }
  }

  @Test func `in a message without an end is refused at the bound`() throws {
    try run { scene in
      let runtime = try scene.runtime()
      #expect(try runtime("connect") == "ok")
      #expect(try runtime("filter") == "ok")
      #expect(try runtime(#"text {"a":"#) == "ok")
      #expect(try runtime("pad 1000000") == "ok")
      // The agent closes while it is being sent, or it had all arrived before.
      _ = try runtime("send 60000 l")
      #expect(try runtime("closed") == "closed")
      let container = try scene.container()
      #expect(try container("bind \(scene.address) 80") == "ok")
    }
  }

  @Test func `of a runtime that never finishes holds up nobody, and does not stay`() throws {
    try run { scene in
      let slow = try (0..<16).map { _ in
        let runtime = try scene.runtime()
        #expect(try runtime("connect") == "ok")
        #expect(try runtime("crun slow") == "ok")
        #expect(try runtime("filter") == "ok")
        #expect(try runtime("cut 50") == "ok")
        #expect(try runtime("send 1000 l") == "ok")
        return runtime
      }
      // The broker's other work goes on, and a further runtime waits until one of these has been sent away.
      #expect(try scene.postern("status").status == 0)
      let container = try scene.container()
      let start = Date()
      #expect(try container("bind \(scene.address) 80") == "ok")
      #expect(-start.timeIntervalSinceNow < 8)
      for runtime in slow { #expect(try runtime("closed") == "closed") }
    }
  }

  @Test func `can be sent by root and the broker's own user alone`() throws {
    try run { scene in
      let attributes = try FileManager.default.attributesOfItem(atPath: scene.agentSocket)
      #expect(attributes[.posixPermissions] as? Int == 0o600)
      let stranger = try scene.start([try Programs.path("runtime"), scene.agentSocket], as: .nobody)
      #expect(try stranger("connect") == "EACCES")
      // A mode that was changed by hand gives nobody more.
      try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: scene.agentSocket)
      #expect(try stranger("connect") == "ok")
      #expect(try stranger("closed") == "closed")
    }
  }

  @Test func `gives no authority by what the runtime says: the caller is judged`() throws {
    // The grant is root's. The runtime says that the container is the broker, by its pid, and runs as another user.
    try run(Agent.policy(user: "root")) { scene in
      let container = try scene.runtime()
      for line in ["connect", "crun box \(scene.brokerPID)", "filter", "send 1000 l", "forget", "become 65534"] {
        #expect(try container(line) == "ok")
      }
      #expect(try container("bind \(scene.address) 80") == "EACCES")
      let refused = try scene.journal().contains { $0.kind == "refusal" && $0.pid == container.pid && $0.uid == 65534 }
      #expect(refused)
      let granted = try scene.journal().contains { $0.kind == "grant" }
      #expect(!granted)
    }
  }

  @Test func `is kept while the broker is gone: the kernel answers, and the next broker serves again`() throws {
    try run { scene in
      let container = try scene.container()
      #expect(try container("bind \(scene.address) 80") == "ok")
      scene.killBroker()
      #expect(try container("bind \(scene.address) 81") == "EACCES")
      #expect(try container("bind \(scene.address) 8081") == "ok")
      try scene.startAgain()
      let isServed = try eventually { try container("bind \(scene.address) 80") != "EACCES" }
      #expect(isServed)
    }
  }

  @Test func `without its keeper means ENOSYS once the broker has died`() throws {
    try run { scene in
      let keepers = Agent.keepers(scene)
      #expect(keepers.count == 1)
      for keeper in keepers { kill(keeper, SIGKILL) }
      let isNoticed = eventually { scene.errors.contains("keeper") }
      #expect(isNoticed)
      // The broker serves it by itself.
      let container = try scene.container()
      #expect(try container("bind \(scene.address) 80") == "ok")
      scene.killBroker()
      #expect(try container("bind \(scene.address) 8081") == "ENOSYS")
      try scene.startAgain()
    }
  }

  @Test func `that comes while the broker is stopped is served when it goes on`() throws {
    try run { scene in
      let container = try scene.runtime()
      for line in ["connect", "crun box", "filter"] { #expect(try container(line) == "ok") }
      try scene.whileStopped {
        let sent = try container("send 1000 l")
        #expect(sent == "ok")
      }
      #expect(try container("forget") == "ok")
      #expect(try container("become 65534") == "ok")
      #expect(try container("bind \(scene.address) 80") == "ok")
    }
  }
}

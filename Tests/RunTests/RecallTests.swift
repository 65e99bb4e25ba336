import Foundation
import Glibc
import TestSupport
import Testing

/// Taking back what a program holds.
@Suite(
  .enabled(if: Tier.root, "needs root: network namespaces"),
  .enabled(if: Tier.has("python3", "curl"), "needs python3 and curl"), .timeLimit(.minutes(3)))
struct RecallTests {
  private static let listen = "l = listener('0.0.0.0', 80)"
  private static let url = "http://127.0.0.1/"

  private func expectServed(_ scene: Scene, by program: Dialogue) throws {
    try program.tell("serve(l, 'served')")
    #expect(try scene.status(Self.url) == "200")
    #expect(program.heard() == "ok")
  }

  /// Nobody gets an answer any more, whatever the program does.
  private func expectTakenBack(_ scene: Scene, from program: Dialogue) throws {
    #expect(try scene.status(Self.url, "--max-time", "1") != "200")
    // After shutdown(2) alone it could listen and accept again.
    _ = try program("l.listen()")
    #expect(try program("l.settimeout(2)") == "ok")
    try program.tell("serve(l, 'served')")
    #expect(try scene.status(Self.url, "--max-time", "1") != "200")
    #expect(program.heard() != "ok")
    // Not by another socket either.
    #expect(try program("l.close()") == "ok")
    #expect(try program(Self.listen) == "EACCES")
  }

  @Test func `a revoked listener accepts nobody, also when the program listens again`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program(Self.listen) == "ok")
      try expectServed(scene, by: program)
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(revoked.output.contains("recalled") && !revoked.output.contains("cannot"))
      try expectTakenBack(scene, from: program)
      let isRecorded = try eventually { try scene.refusals(of: program.pid).contains { $0.reason == "revoked" } }
      #expect(isRecorded)
      // Until it is granted again.
      let granted = try scene.postern(
        "grant", "--application", "app", "--object", "web", "--operations", "bind,listen,accept")
      #expect(granted.status == 0, "\(granted.errors)")
      #expect(try program(Self.listen) == "ok")
      try expectServed(scene, by: program)
    }
  }

  @Test func `a connection that was accepted before stays the program's`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      let client = try scene.python(isPlain: true)
      #expect(try program(Self.listen) == "ok")
      #expect(try client("c = socket.create_connection(('127.0.0.1', 80))") == "ok")
      #expect(try program("a = l.accept()[0]") == "ok")
      #expect(try scene.postern("revoke", "--object", "web").status == 0)
      #expect(try client("c.send(b'still')") == "5")
      #expect(try program("a.recv(5)") == "b'still'")
    }
  }

  @Test func `a duplicate under another number is taken back with it`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program(Self.listen) == "ok")
      #expect(try program("l = socket.socket(fileno=os.dup2(l.detach(), 200))") == "ok")
      try expectServed(scene, by: program)
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      try expectTakenBack(scene, from: program)
    }
  }

  @Test func `a grant that expires takes the listener back`() throws {
    try Scene.run(Policies.web(grant: ", handover: true, expires: 3s")) { scene in
      let program = try scene.python()
      #expect(try program(Self.listen) == "ok")
      try expectServed(scene, by: program)
      let isOver = try eventually { try scene.broker.associations().allSatisfy { $0.state != "live" } }
      #expect(isOver)
      let isTaken = try eventually { try program("l.getsockopt(socket.SOL_SOCKET, 44)") == "1" }  // SO_LOCK_FILTER
      #expect(isTaken)
      #expect(try scene.status(Self.url, "--max-time", "1") != "200")
      _ = try program("l.listen()")
      #expect(try scene.status(Self.url, "--max-time", "1") != "200")
    }
  }

  @Test(arguments: ["grant", "object"])
  func `a reload without what the program holds takes it back`(gone: String) throws {
    let policy = Policies.sockets(["web": "tcp://0.0.0.0:80", "tls": "tcp://0.0.0.0:443"])
    try Scene.run(policy) { scene in
      let program = try scene.python()
      #expect(try program(Self.listen) == "ok")
      #expect(try program("t = listener('0.0.0.0', 443)") == "ok")
      let lines = policy.split(separator: "\n").filter {
        !$0.contains("object: web") && (gone == "grant" || !$0.contains("  web:"))
      }
      try scene.write(policy: lines.joined(separator: "\n") + "\n")
      let reloaded = try scene.postern("reload")
      #expect(reloaded.status == 0, "\(reloaded.errors)")
      let isTaken = try eventually { try program("l.getsockopt(socket.SOL_SOCKET, 44)") == "1" }  // SO_LOCK_FILTER
      #expect(isTaken)
      try expectTakenBack(scene, from: program)
      // What the policy still grants stays.
      #expect(try program("t.getsockopt(socket.SOL_SOCKET, 44)") == "0")
      #expect(try scene.broker.associations().map(\.object) == ["tls"])
    }
  }

  @Test func `a reload of an unchanged policy takes nothing back`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program(Self.listen) == "ok")
      let before = try scene.broker.associations().map(\.id)
      #expect(try scene.postern("reload").status == 0)
      try expectServed(scene, by: program)
      #expect(try scene.broker.associations().map(\.id) == before)
    }
  }

  @Test(arguments: ["raw://icmp", "packet://lo"])
  func `sending on a raw or packet socket cannot be recalled, and revoke says so`(endpoint: String) throws {
    try Scene.run(Policies.sockets(["wire": endpoint], operations: "send, receive")) { scene in
      let program = try scene.python()
      let make =
        endpoint.hasPrefix("raw")
        ? "w = tcp(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)"
        : "w = tcp(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))"
      #expect(try program(make) == "ok", "\(scene.broker.errors)")
      let revoked = try scene.postern("revoke", "--object", "wire")
      #expect(revoked.status == 1)
      #expect(revoked.output.contains("cannot recall: "), "\(revoked.output)")
      #expect(try program(make) == "EPERM")
    }
  }

  @Test func `on-stuck-revoke kill ends a program whose object cannot be recalled`() throws {
    let policy = Policies.sockets(
      ["wire": "raw://icmp"], grant: ", handover: true, on-stuck-revoke: kill", operations: "send, receive")
    try Scene.run(policy) { scene in
      let program = try scene.python()
      #expect(try program("w = tcp(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)") == "ok")
      let other = try scene.python()
      // It has started: after a revoke it would not.
      #expect(try other("1") == "1")
      let revoked = try scene.postern("revoke", "--object", "wire")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(program.heard() == "ended")
      #expect(try other("1") == "1")
    }
  }

  @Test func `after an exec a program holds the listener without an association, and a revoke finds it`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program(Self.listen) == "ok")
      let association = try scene.broker.associations().map(\.id)
      #expect(association.count == 1)
      try expectExeced(scene, program)
      let isDropped = try eventually { try scene.broker.associations().isEmpty }
      #expect(isDropped)
      let dropped = try scene.broker.journal().filter { $0.kind == "drop" && $0.pid == program.pid }
      #expect(dropped.map(\.cause) == ["exec"])
      try expectServed(scene, by: program)
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      try expectTakenBack(scene, from: program)
    }
  }

  @Test func `on-exec keep keeps the association through an exec`() throws {
    try Scene.run(Policies.web(grant: ", handover: true, on-exec: keep")) { scene in
      let program = try scene.python()
      #expect(try program(Self.listen) == "ok")
      let before = try scene.broker.associations().map(\.id)
      try expectExeced(scene, program)
      try expectServed(scene, by: program)
      #expect(try scene.broker.associations().map(\.id) == before)
      #expect(try scene.postern("revoke", "--object", "web").status == 0)
      try expectTakenBack(scene, from: program)
    }
  }

  /// Runs itself again, with the listener kept as `l`.
  private func expectExeced(_ scene: Scene, _ program: Dialogue) throws {
    #expect(try program("import sys; n = l.detach(); os.set_inheritable(n, True)") == "ok")
    try program.tell("os.execv(sys.executable, ['python3', '\(try Programs.path("obey"))', 'execed'])")
    // What it is told before that would be lost with the old program's buffer.
    #expect(program.heard() == "execed")
    for number in 3..<20 {
      let made = try program("l = socket.socket(fileno=\(number))")
      guard made == "ok", try program("l.getsockname()[1]") == "80" else { continue }
      return
    }
    Issue.record("the listener did not come through the exec")
  }

  @Test func `a program that outlives its parent is found`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program(Self.listen) == "ok")
      // The parent ends; the child goes on with the listener and the pipes.
      try program.tell("os.fork() and os._exit(0)")
      #expect(program.heard() == "0")
      program.waitForEnd()
      try expectServed(scene, by: program)
      let held = try scene.broker.associations()
      #expect(held.count == 1 && held.first?.pid != program.pid, "\(held)")
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      try expectTakenBack(scene, from: program)
    }
  }
}

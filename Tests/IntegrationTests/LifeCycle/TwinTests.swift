import Foundation
import Glibc
import TestSupport
import Testing

/// The twins of `IdentityTests`, `ForkTests` and `ExecTests`: the same steps against a broker that lacks one guard
/// (Tests/Programs/twin.c), in which the attack wins. Without them those tests could pass for a wrong reason.
@Suite struct TwinTests {
  private func withTwin(
    guard name: String, trusted: Bool = false, _ body: (Dialogue, (String) throws -> Dialogue) throws -> Void
  ) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/postern-twin-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let program = trusted ? [try Programs.path("actor")] : []
    let twin = try Dialogue([try Programs.path("twin"), folder + "/socket", name] + program)
    var actors: [Dialogue] = []
    defer { for actor in actors + [twin] { actor.end() } }
    #expect(twin.heard() == "ready")
    try body(twin) { program in
      let actor = try Dialogue([try Programs.path(program), folder + "/socket"])
      actors.append(actor)
      return actor
    }
  }

  private func meeting() -> String { FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString)" }

  @Test func `where the channel is trusted, a forked child works on it`() throws {
    try withTwin(guard: "channel") { _, start in
      let parent = try start("actor")
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 read") == "ok")
    }
  }

  @Test func `where the channel is trusted, another program works on it after an exec`() throws {
    try withTwin(guard: "channel") { _, start in
      let process = try start("actor")
      #expect(try process("open image") == "ok")
      #expect(try process("exec $stranger") == "executed")
      #expect(try process("read") == "ok")
    }
  }

  @Test func `where the pid is trusted, another program works after an exec`() throws {
    try withTwin(guard: "pid") { _, start in
      let process = try start("actor")
      #expect(try process("open image") == "ok")
      #expect(try process("exec $stranger") == "executed")
      #expect(try process("read") == "ok")
    }
  }

  @Test func `where the channel is trusted, a stranger who was given it works`() throws {
    try withTwin(guard: "channel") { _, start in
      let holder = try start("actor")
      let stranger = try start("stranger")
      let meeting = meeting()
      defer { try? FileManager.default.removeItem(atPath: meeting) }
      #expect(try holder("open image") == "ok")
      #expect(try stranger("offer \(meeting)") == "waiting")
      #expect(try holder("give \(meeting)") == "given")
      #expect(try stranger("take") == "taken")
      #expect(try stranger("read") == "ok")
    }
  }

  @Test(.enabled(if: Tier.root, "needs root: to choose a process number"))
  func
    `where the pid is trusted, a new process with the holder's number works`() throws
  {
    try withTwin(guard: "pid") { _, start in
      let keeper = try start("actor")
      let meeting = meeting()
      defer { try? FileManager.default.removeItem(atPath: meeting) }
      let number = try keeper("fork")
      #expect(try keeper("child 0 open image") == "ok")
      #expect(try keeper("offer \(meeting)") == "waiting")
      #expect(try keeper("child 0 give \(meeting)") == "given")
      #expect(try keeper("take") == "taken")
      #expect(try keeper("read") == "not-associated")
      #expect(try keeper("reap 0") == "1")
      #expect(try keeper("reuse \(number)") == number)
      #expect(try keeper("child 1 read") == "ok")
    }
  }

  @Test(.enabled(if: Tier.namespaces, "needs user namespaces"))
  func
    `where the pid is trusted and namespaces are not asked for, a child that forges its parent's works`() throws
  {
    try withTwin(guard: "pid") { _, start in
      let outside = try start("actor")
      #expect(Int32(try outside("namespace")) != nil)
      #expect(try outside("child 0 open image") == "ok")
      _ = try outside("child 0 fork")
      #expect(try outside("child 0 child 0 read") == "not-associated")
      #expect(try outside("child 0 child 0 claim 1") == "claimed")
      #expect(try outside("child 0 child 0 read") == "ok")
    }
  }

  @Test func `where one message opens, the helper of a program that executes a trusted one gets the channel`() throws {
    try withTwin(guard: "one-message", trusted: true) { twin, start in
      let evil = try start("stranger")
      #expect(try evil("open image") == "no-such-object")
      kill(twin.pid, SIGSTOP)
      usleep(50_000)
      #expect(try evil("race image $actor") == "executed")
      kill(twin.pid, SIGCONT)
      #expect(evil.heard() == "ok")
    }
  }
}

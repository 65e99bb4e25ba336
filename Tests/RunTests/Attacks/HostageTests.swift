import Foundation
import Glibc
import TestSupport
import Testing

/// Memory and files that hold up whoever looks at them hold up nobody else.
@Suite(
  .serialized,
  .enabled(if: Tier.isRequired || FileManager.default.isWritableFile(atPath: "/dev/fuse"), "needs root and fuse(4)"),
  .timeLimit(.minutes(5)))
struct HostageTests {
  /// A file system at `folder`/hostage that answers no read; gone at the end of `body`, or when its server ends.
  private func withHostage(_ body: (Scene, _ folder: String, _ server: Dialogue) throws -> Void) throws {
    try Scene.attack { scene in
      let folder = scene.folder + "/hostage"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
      let server = try Dialogue([try Programs.path("hostage"), "serve", folder])
      defer {
        server.end()
        _ = try? Command.run(["/usr/bin/umount", "--lazy", folder])
      }
      #expect(server.heard() == "mounted")
      try body(scene, folder, server)
    }
  }

  /// The answer, and how many seconds it took.
  private func timed<Answer>(_ body: () throws -> Answer) rethrows -> (answer: Answer, seconds: Double) {
    let start = Date()
    let answer = try body()
    return (answer, Date().timeIntervalSince(start))
  }

  private func isHeldUp(_ pid: Int32) -> Bool {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
    return tasks.contains { task in
      let place = try? String(contentsOfFile: "/proc/\(pid)/task/\(task)/wchan", encoding: .utf8)
      return place?.contains("request_wait") ?? false
    }
  }

  @Test(arguments: [["bind", "/file", "80"], ["open", "/file"], ["resolve", ""]])
  func `a program that holds up its supervisor holds up no other program and not the broker`(
    _ attack: [String]
  ) throws {
    try withHostage { scene, folder, server in
      let program = try scene.attacker("hostage", attack[0], folder + attack[1], attack.count > 2 ? attack[2] : nil)
      #expect(server.heard() == "held")
      let isHeld = eventually { isHeldUp(scene.broker.pid) || isHeldUp(program.pid) }
      #expect(isHeld, "nothing is held up: nothing is tested")
      let other = try scene.python()
      let bound = try timed { try other("tcp().bind(('0.0.0.0', 80))") }
      #expect(bound.answer == "ok")
      #expect(bound.seconds < 2)
      let status = try timed { try scene.postern("status").status }
      #expect(status.answer == 0)
      #expect(status.seconds < 2)
      other.end()
      kill(program.pid, SIGKILL)
      server.end()
      program.end()
    }
  }

  /// Looking at most of what proc(5) tells of a process waits for its memory map.
  @Test func `a program that keeps its memory map to itself asks the broker, which answers everybody`() throws {
    try withHostage { scene, folder, server in
      let program = try scene.attacker("hostage", "ask", folder + "/file", scene.broker.socket)
      #expect(server.heard() == "held")
      #expect(program.heard() == "asked")
      let pid = try #require(
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { Int32($0) }.first {
          (try? String(contentsOfFile: "/proc/\($0)/comm", encoding: .utf8)) == "hostage\n" && isHeldUp($0)
        })
      let look = try Dialogue(["/usr/bin/head", "-c", "1", "/proc/\(pid)/environ"])
      let isHeld = eventually {
        (try? String(contentsOfFile: "/proc/\(look.pid)/status", encoding: .utf8))?.contains("D (disk sleep)") ?? false
      }
      #expect(isHeld, "its environment can be read: nothing is tested")
      let status = try timed { try scene.postern("status").status }
      #expect(status.answer == 0)
      #expect(status.seconds < 2)
      kill(pid, SIGKILL)
      server.end()
      program.end()
      look.end()
    }
  }

  /// The kernel ends a thread only when its read has been answered, and the process with the last thread.
  @Test(arguments: [SIGTERM, SIGKILL])
  func `a broker that ends while it is held up lets go of all other programs, and another one can start`(
    signal: Int32
  ) throws {
    try withHostage { scene, folder, server in
      let other = try scene.python()
      #expect(try other("tcp().bind(('0.0.0.0', 80))") == "ok")
      let program = try scene.attacker("hostage", "bind", folder + "/file", "80")
      #expect(server.heard() == "held")
      let old = scene.broker.pid
      #expect(eventually { isHeldUp(old) }, "nothing is held up: nothing is tested")
      kill(old, signal)
      let hasEnded = eventually(within: 2) {
        (try? String(contentsOfFile: "/proc/\(old)/status", encoding: .utf8))?.contains("Z (zombie)") ?? true
      }
      #expect(hasEnded, "its main thread goes on")
      try other.tell("tcp().bind(('0.0.0.0', 80))")
      let answer = timed { other.heard(within: 3) }
      #expect(answer.answer == "EACCES", "the kernel's own answer did not come")
      #expect(answer.seconds < 1)
      let next = RunningBroker(in: scene.folder, as: .own)
      try next.start()
      let isServed = try eventually(within: 3) { try other("tcp().bind(('0.0.0.0', 80))") == "ok" }
      #expect(isServed, "\(next.errors)")
      // First: `Process` waits for one child after the other, and the old broker is one.
      server.end()
      other.end()
      program.end()
      next.end()
      scene.broker.end()
      try scene.restart()
    }
  }
}

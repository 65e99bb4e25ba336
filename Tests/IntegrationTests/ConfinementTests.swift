import Foundation
import Glibc
import TestSupport
import Testing

/// What the broker gives up before it serves.
@Suite struct ConfinementTests {
  private func status(_ scene: Scene, _ key: String) throws -> String {
    let text = try String(contentsOfFile: "/proc/\(scene.brokerPID)/status", encoding: .utf8)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(key + ":") })
    return line.dropFirst(key.count + 1).trimmingCharacters(in: .whitespaces)
  }

  @Test func `it can gain no privileges, and its system calls are filtered`() throws {
    try Scene.run(Policies.image()) { scene in
      let privileges = try status(scene, "NoNewPrivs")
      #expect(privileges == "1")
      let filter = try status(scene, "Seccomp")
      #expect(filter == "2")
    }
  }

  @Test func `every one of its threads is filtered`() throws {
    try Scene.run(Policies.image()) { scene in
      let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(scene.brokerPID)/task")
      #expect(threads.count > 1)
      for thread in threads {
        let text = try String(contentsOfFile: "/proc/\(scene.brokerPID)/task/\(thread)/status", encoding: .utf8)
        #expect(text.contains("Seccomp:\t2"))
      }
    }
  }

  @Test func `a broker of disks keeps no capability for sockets, and none of the great ones`() throws {
    try Scene.run(Policies.image()) { scene in
      // CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE
      let needed: UInt64 = 1 << 1 | 1 << 2 | 1 << 19
      let held = try status(scene, "CapEff")
      let effective = try #require(UInt64(held, radix: 16))
      #expect(effective & ~needed == 0)
      // An ordinary user's broker has none to use and may not shrink what it could never use (CAP_SETPCAP).
      guard geteuid() == 0 else {
        #expect(effective == 0)
        return
      }
      let bound = try status(scene, "CapBnd")
      let bounding = try #require(UInt64(bound, radix: 16))
      #expect(bounding & ~needed == 0)
    }
  }

  @Test func `doctor finds the mediated path and the identity of processes at work`() throws {
    try Scene.run(Policies.image()) { scene in
      let answer = try scene.postern("doctor", as: scene.applicationUser)
      #expect(answer.status == 0)
      for subject in ["path mediated", "process identity", "audit journal"] {
        let line = answer.output.split(separator: "\n").first { $0.hasPrefix(subject) }
        #expect(line?.contains("works") == true, "\(subject)")
      }
    }
  }

  /// There the proc connector takes the request and never sends anything; the witness of the program image must be asked.
  @Test(.enabled(if: Tier.root, "needs root"))
  func `in a pid namespace of its own it does not take silence for fork events`() throws {
    try Scene.run(Policies.image()) { scene in
      let inner = "\(scene.folder)/inner"
      let posternd = try Programs.path("posternd")
      let postern = try Programs.path("postern")
      let script = """
        \(posternd) --policy \(scene.policyPath) --socket \(inner) --state-dir \(inner)-state 2>/dev/null &
        for i in 1 2 3 4 5 6 7 8 9 10; do [ -S \(inner) ] && break; sleep 0.3; done; sleep 0.3
        \(postern) --socket \(inner) doctor
        """
      let answer = try Command.run(["/usr/bin/unshare", "-p", "-f", "--mount-proc", "/bin/sh", "-c", script])
      let lines = answer.output.split(separator: "\n")
      #expect(lines.first { $0.hasPrefix("fork events") }?.contains("refused") == true, "\(answer)")
      #expect(lines.first { $0.hasPrefix("path mediated") }?.contains("works") == true, "\(answer)")
    }
  }
}

import Foundation
import Glibc
import TestSupport
import Testing

/// What cannot be found out, or cannot be carried out, is no grant; what dies in the middle leaves nothing (LESSONS 2 to 4,
/// 7 to 9).
@Suite(.serialized, .enabled(if: Tier.root, "needs root: network namespaces"), .timeLimit(.minutes(30)))
struct FailureTests {
  @Test func `a program with thousands of descriptors open gets EMFILE, and the file once there is room`() throws {
    try Scene.attack { scene in
      let came = try scene.runToEnd(try Programs.path("racer"), "table", scene.image, "4096")
      #expect(came.output == "descriptors=4096 full=EMFILE room=ok\n", "\(came)")
    }
  }

  @Test func `a program that nobody may look at gets what it was granted and no more`() throws {
    try Scene.attack { scene in
      let came = try scene.runToEnd(try Programs.path("racer"), "undumpable", "80", "81")
      #expect(came.output == "other=EACCES own=ok\n", "\(came)")
      let twin = try scene.twin("failopen", "undumpable", "80", "81")
      #expect(twin.output == "other=ok own=ok\n", "\(twin)")
    }
  }

  @Test func `a thread that does not lead its process is served as its process`() throws {
    try Scene.attack { scene in
      let came = try scene.runToEnd(try Programs.path("racer"), "thread", "80")
      #expect(came.output == "ok\n", "\(came)")
      let twin = try scene.twin("leader", "thread", "80")
      #expect(twin.output != "ok\n", "\(twin)")
    }
  }

  /// The kernel tells nothing of a leader that has ended but its number, so nothing can be decided about the process.
  @Test func `a process whose leading thread has ended is refused, and that is recorded`() throws {
    try Scene.attack { scene in
      let came = try scene.runToEnd(try Programs.path("racer"), "orphan", "80")
      #expect(came.output == "EACCES\n", "\(came)")
      let records = try scene.broker.journal().filter { $0.kind == "refusal" }
      #expect(records.contains { $0.reason == "undecidable" && $0.path == "handover" }, "\(records)")
    }
  }

  @Test func `programs that are killed in the middle leave nothing in the broker`() throws {
    try Scene.attack { scene in
      let bystander = try scene.python()
      #expect(try bystander("s = tcp()") == "ok")
      let before = scene.broker.descriptorCount
      let came = try scene.assault("storm", Tier.isSoak ? "20000" : "500", "80")
      #expect(came["tries"] > 0)
      let isBack = eventually { scene.broker.descriptorCount <= before }
      #expect(isBack, "\(scene.broker.descriptorCount) descriptors, \(before) before")
      #expect(try bystander("s.bind(('0.0.0.0', 80))") == "ok")
    }
  }

  @Test func `calls whose programs are killed while the broker is stopped leave nothing, beside a program that lives`()
    throws
  {
    try Scene.attack(Policies.portAndImage(", processes: 1000")) { scene in
      for count in ["200", "600"] {
        let program = try scene.attacker("racer", "pending", count, "80")
        #expect(program.heard() == "waiting")
        try scene.broker.whileStopped {
          usleep(50_000)
          try program.tell("kill")
          #expect(program.heard() == "killed")
        }
        // The supervisor, the keeper's connection; a few of a program that has ended are forgotten at the next event.
        let bystander = try scene.python()
        #expect(try bystander("tcp().bind(('0.0.0.0', 80))") == "ok")
        let isBack = eventually { scene.broker.descriptorCount < 60 }
        #expect(isBack, "\(scene.broker.descriptorCount) descriptors")
        program.end()
        bystander.end()
      }
    }
  }

  @Test func `refusals as fast as can be cost the broker no memory to speak of`() throws {
    try Scene.attack { scene in
      let before = scene.broker.memory
      let came = try scene.assault("flood", "81", Tier.isSoak ? "1000000" : "50000")
      #expect(came["gained"] == 0, "\(came)")
      #expect(came["refused"] == came["tries"], "\(came)")
      #expect(scene.broker.memory < before + 64 << 10, "\(before) KiB before, \(scene.broker.memory) after")
    }
  }
}

import Foundation
import TestSupport
import Testing

@Suite struct RevokeTests {
  @Test func `a revoke blocks opens until a grant`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      #expect(try process("read") == "revoked")
      #expect(try process("revalidate") == "revoked")
      #expect(try process("open image") == "revoked")
      #expect(try scene.actor()("open image") == "revoked")
      let granted = try scene.postern("grant", "--application", "app", "--object", "image", "--operations", "read")
      #expect(granted.status == 0, "\(granted.errors)")
      #expect(try process("open image") == "ok")
      #expect(try process("read") == "ok")
    }
  }

  @Test func `a revoke of a process blocks its children's opens too, forked before it and after`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try scene.postern("revoke", "--pid", "\(parent.pid)").status == 0)
      _ = try parent("fork")
      #expect(try parent("open image") == "revoked")
      #expect(try parent("child 0 open image") == "revoked")
      #expect(try parent("child 1 open image") == "revoked")
      #expect(try scene.actor()("open image") == "ok")
    }
  }

  @Test func `a reload lifts a revoke`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try scene.postern("revoke", "--application", "app").status == 0)
      #expect(try process("open image") == "revoked")
      #expect(try scene.postern("reload").status == 0)
      #expect(try process("open image") == "ok")
    }
  }

  @Test func `a revoke prints its verdict for each association and exits 0`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "ok")
      let revoked = try scene.postern("revoke", "--object", "image")
      #expect(revoked.status == 0)
      #expect(revoked.output.split(separator: "\n").count { $0.hasSuffix("recalled") } == 2)
    }
  }

  @Test func `an accept that waits ends with revoked, and a later connection reaches nobody`() throws {
    try Scene.run(Policies.listener()) { scene in
      let process = try scene.actor()
      #expect(try process("open web") == "ok")
      #expect(try process("bind") == "ok")
      #expect(try process("listen") == "ok")
      #expect(try process("issue accept") == "issued")
      #expect(try scene.postern("revoke", "--all").status == 0)
      _ = try scene.actor(as: .own)("dial \(scene.folder)/open/web")
      #expect(try process("collect") == "revoked")
      #expect(try process("accept") == "revoked")
    }
  }

  @Test func `the accept of a child that waits ends with revoked while its parent's goes on`() throws {
    try Scene.run(Policies.listener()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open web") == "ok")
      #expect(try parent("bind") == "ok")
      #expect(try parent("listen") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "ok")
      #expect(try parent("child 0 issue accept") == "issued")
      #expect(try parent("issue accept") == "issued")
      #expect(try scene.postern("revoke", "--pid", child).status == 0)
      #expect(try parent("child 0 collect") == "revoked")
      #expect(try scene.actor(as: .own)("dial \(scene.folder)/open/web") == "connected")
      #expect(try parent("collect") == "ok")
    }
  }

  /// The whole scale, 1,000,000 attempts, with POSTERN_SOAK=1.
  @Test func `after a revoke has returned no attempt of four processes succeeds`() throws {
    let seed = testSeed()
    let attempts = Tier.isSoak ? 1_000_000 : 10_000
    try Scene.run(Policies.imageAndListener) { scene in
      let waiting = try scene.actor()
      #expect(try waiting("open web") == "ok")
      #expect(try waiting("bind") == "ok")
      #expect(try waiting("listen") == "ok")
      #expect(try waiting("issue accept") == "issued")
      let hammer = try scene.start("hammer", arguments: ["image", "4", "\(attempts)", "\(seed)"])
      #expect(hammer.heard() == "hammering with 4")
      let revoked = try scene.postern("revoke", "--all", "--format", "json")
      try hammer.tell("revoked")
      #expect(revoked.status == 0, "\(revoked.output)")
      // The opener, its four children and the one that waits.
      #expect(revoked.output.components(separatedBy: "\"recalled\"").count >= 6, "\(revoked.output)")
      #expect(hammer.heard() == "attempts enough late 0 disorder 0 broken 0", "POSTERN_TEST_SEED=\(seed)")
      #expect(try waiting("collect") == "revoked")
    }
  }

  /// The twin: nothing is revoked, and the same count finds successes.
  @Test func `without a revoke the hammer counts successes`() throws {
    try Scene.run(Policies.image()) { scene in
      let hammer = try scene.start("hammer", arguments: ["image", "4", "10000", "\(testSeed())"])
      #expect(hammer.heard() == "hammering with 4")
      try hammer.tell("revoked")
      #expect(!hammer.heard().contains("late 0 "))
    }
  }
}

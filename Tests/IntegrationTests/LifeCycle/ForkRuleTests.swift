import TestSupport
import Testing

@Suite struct ForkRuleTests {
  @Test func `on-fork deny gives a child the second error with the policy's message`() throws {
    try Scene.run(Policies.image(grant: ", on-fork: deny, message: ask the platform team")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "not-associated")
      #expect(try parent("child 0 revalidate") == "refused fork-denied: ask the platform team")
      #expect(try parent("child 0 read") == "not-associated")
      #expect(try parent("read") == "ok")
      let refusal = try #require(
        try scene.journal(of: child).last { $0.reason == "refused" })
      #expect(refusal.errno == "EKEYREJECTED")
      #expect(refusal.detail == "fork-denied")
    }
  }

  @Test func `on-fork deny refuses a child's own open while its parent holds the object`() throws {
    try Scene.run(Policies.image(grant: ", on-fork: deny")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 open image") == "refused fork-denied")
    }
  }

  @Test func `on-fork inherit binds a child at its first instruction on a channel of its own`() throws {
    try Scene.run(Policies.image(grant: ", on-fork: inherit")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "ok")
      #expect(try parent("child 0 data") == "AAAA")
      #expect(Set(try scene.associations().map(\.pid)).count == 2)
      #expect(try scene.journal(of: child).map(\.kind) == ["revalidate"])
    }
  }

  @Test func `a child that inherited is revoked alone, and its next instruction does not bind it again`() throws {
    try Scene.run(Policies.image(grant: ", on-fork: inherit")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "ok")
      #expect(try scene.postern("revoke", "--pid", child).status == 0)
      #expect(try parent("child 0 read") == "revoked")
      #expect(try parent("child 0 read") == "revoked")
      #expect(try parent("read") == "ok")
    }
  }

  @Test func `a child forked before a revoke of its parent inherits nothing`() throws {
    try Scene.run(Policies.image(grant: ", on-fork: inherit")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try scene.postern("revoke", "--pid", "\(parent.pid)").status == 0)
      #expect(try parent("child 0 read") != "ok")
    }
  }

  @Test func `a grandchild inherits through a child that never used the object`() throws {
    try Scene.run(Policies.image(grant: ", on-fork: inherit")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("double-fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "ok")
    }
  }

  @Test func `a child that has executed another program inherits nothing`() throws {
    try Scene.run(Policies.image(grant: ", on-fork: inherit")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 exec $actor") == "executed")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "not-associated")
    }
  }

  @Test func `on-fork inherit does not let a stranger in who was given the channel`() throws {
    try Scene.run(Policies.image(grant: ", on-fork: inherit")) { scene in
      let holder = try scene.actor()
      let stranger = try scene.actor()
      #expect(try holder("open image") == "ok")
      #expect(try stranger("offer \(scene.meeting)") == "waiting")
      #expect(try holder("give \(scene.meeting)") == "given")
      #expect(try stranger("take") == "taken")
      #expect(try stranger("adopt") == "ok")
      #expect(try stranger("read") == "not-associated")
    }
  }
}

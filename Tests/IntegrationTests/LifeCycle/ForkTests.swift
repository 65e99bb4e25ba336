import TestSupport
import Testing

@Suite struct ForkTests {
  @Test func `a forked child's instruction on the inherited channel is answered not-associated, its parent goes on`()
    throws
  {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("read") == "ok")
      let child = try parent("fork")
      // Right after its parent, on the same channel: the verdict that was kept for the parent is not the child's.
      #expect(try parent("child 0 read") == "not-associated")
      #expect(try parent("read") == "ok")
      let refusal = try #require(try scene.journal(of: child).last)
      #expect(refusal.kind == "refusal")
      #expect(refusal.reason == "not-associated")
      #expect(refusal.errno == "EKEYEXPIRED")
      #expect(refusal.object == "image")
    }
  }

  @Test func `a forked child adopts, is told not-associated, revalidates, and works`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "not-associated")
      #expect(try parent("child 0 revalidate") == "ok")
      #expect(try parent("child 0 read") == "ok")
      #expect(try parent("child 0 data") == "AAAA")
      #expect(try parent("read") == "ok")
      let pids = try scene.associations().filter { $0.state == "live" }.map { "\($0.pid)" }
      #expect(Set(pids) == ["\(parent.pid)", child])
      #expect(try scene.journal(of: child).map(\.kind) == ["refusal", "revalidate"])
    }
  }

  @Test func `a child's association is revoked alone`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "ok")
      let revoked = try scene.postern("revoke", "--pid", child)
      #expect(revoked.status == 0)
      #expect(revoked.output.contains("recalled"))
      #expect(try parent("child 0 read") == "revoked")
      #expect(try parent("child 0 revalidate") == "revoked")
      #expect(try parent("read") == "ok")
    }
  }

  @Test func `a revoke by pid takes the object from the process and from all its descendants`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "ok")
      #expect(try scene.postern("revoke", "--pid", "\(parent.pid)").status == 0)
      #expect(try parent("read") == "revoked")
      #expect(try parent("child 0 read") == "revoked")
    }
  }

  @Test func `a revoke of one association by its id leaves its parent's`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "ok")
      #expect(try scene.postern("revoke", "--association", try parent("child 0 association")).status == 0)
      #expect(try parent("child 0 read") == "revoked")
      #expect(try parent("read") == "ok")
    }
  }

  @Test func `a child forked before a revoke of its parent is told revoked when it revalidates`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try scene.postern("revoke", "--pid", "\(parent.pid)").status == 0)
      #expect(try parent("child 0 revalidate") == "revoked")
      #expect(try parent("child 0 read").hasPrefix("ok") == false)
    }
  }

  @Test func `a grandchild forked before a revoke is told revoked although its parents have ended`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("double-fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try scene.postern("revoke", "--pid", "\(parent.pid)").status == 0)
      #expect(try parent("child 0 revalidate") == "revoked")
    }
  }

  @Test func `a vfork child has no association`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("vfork read") == "not-associated")
      #expect(try parent("read") == "ok")
    }
  }

  @Test func `a vfork child may revalidate as any child may`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("vfork join") == "ok")
      #expect(try parent("read") == "ok")
    }
  }

  @Test func `a spawned program with the inherited channel is a stranger`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("spawn read") == "not-associated")
      #expect(try parent("spawn join") == "refused not-descended")
      #expect(try parent("read") == "ok")
    }
  }

  @Test func `a process that shares its parent's memory but is none of its threads has no association`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("clone-vm read") == "not-associated")
      #expect(try parent("clone-vm join") == "ok")
      #expect(try parent("read") == "ok")
    }
  }

  @Test func `threads share the association of their process`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("thread read") == "ok")
      #expect(try process("read") == "ok")
      #expect(try scene.associations().count == 1)
    }
  }

  @Test func `an object that a thread opens is its process's`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("thread open image") == "ok")
      #expect(try process("read") == "ok")
    }
  }

  @Test(.enabled(if: Tier.root, "needs root: fork events"))
  func
    `a grandchild that was given another parent still descends from the holder`() throws
  {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("double-fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "not-associated")
      #expect(try parent("child 0 revalidate") == "ok")
      #expect(try parent("child 0 read") == "ok")
    }
  }

  @Test func `the child of a program that opens, forks and exits at once revalidates and works`() throws {
    try Scene.run(Policies.image()) { scene in
      let daemon = try scene.actor()
      #expect(try daemon("open image") == "ok")
      let child = try daemon("daemon")
      daemon.waitForEnd()
      #expect(Int32(child) != daemon.pid)
      #expect(try daemon("read") == "not-associated")
      #expect(try daemon("adopt") == "ok")
      #expect(try daemon("revalidate") == "ok")
      #expect(try daemon("read") == "ok")
      #expect(try scene.journal(of: "\(daemon.pid)").last?.cause == "exit")
    }
  }

  @Test func `fifty children that ask at once get fifty associations and one record each`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("many 50") == "50")
      #expect(try parent("read") == "ok")
      let made = try scene.journal().filter { $0.kind == "revalidate" && $0.reason == nil }
      #expect(made.count == 50)
      #expect(Set(made.map(\.pid)).count == 50)
    }
  }

  @Test func `a thousand children leave nothing behind in the broker`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("many 50") == "50")
      let descriptors = scene.descriptorCount
      let memory = scene.memory
      for _ in 0..<20 { #expect(try parent("many 50") == "50") }
      #expect(eventually { scene.descriptorCount <= descriptors })
      // An entry for each of the 1,000, kept, would be more than this.
      #expect(scene.memory - memory < 4096, "KiB")
      #expect(try parent("read") == "ok")
    }
  }
}

import TestSupport
import Testing

/// A broker that runs as an ordinary user, for programs of that user. Kernels before 6.6 do not tell it of forks; these
/// rules hold with and without that.
@Suite("With a broker that runs as an ordinary user") struct OrdinaryUserTests {
  private func run(_ policy: String, _ body: (Scene) throws -> Void) throws {
    try Scene.run(policy, broker: .application, application: .application, body)
  }

  @Test func `a forked child is refused, revalidates, and works`() throws {
    try run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 read") == "not-associated")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "not-associated")
      #expect(try parent("child 0 revalidate") == "ok")
      #expect(try parent("child 0 read") == "ok")
      #expect(try scene.postern("revoke", "--pid", child).status == 0)
      #expect(try parent("child 0 read") == "revoked")
      #expect(try parent("read") == "ok")
    }
  }

  @Test func `fifty children that ask at once get fifty associations`() throws {
    try run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("many 50") == "50")
    }
  }

  @Test func `an exec is seen, also by a thread that is not the leader`() throws {
    try run(Policies.image()) { scene in
      for way in ["exec", "exec-in-thread"] {
        let process = try scene.actor()
        #expect(try process("open image") == "ok")
        #expect(try process("\(way) $actor") == "executed")
        #expect(try process("read") == "not-associated")
        #expect(try process("revalidate").hasPrefix("refused"))
      }
    }
  }

  @Test func `on-exec keep works`() throws {
    try run(Policies.image(grant: ", on-exec: keep")) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("exec $actor") == "executed")
      #expect(try process("read") == "ok")
    }
  }

  @Test func `a daemon's child revalidates and works`() throws {
    try run(Policies.image()) { scene in
      let daemon = try scene.actor()
      #expect(try daemon("open image") == "ok")
      _ = try daemon("daemon")
      daemon.waitForEnd()
      #expect(try daemon("adopt") == "ok")
      #expect(try daemon("revalidate") == "ok")
      #expect(try daemon("read") == "ok")
    }
  }

  @Test func `on-fork deny refuses a child`() throws {
    try run(Policies.image(grant: ", on-fork: deny")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "refused fork-denied")
    }
  }

  @Test func `on-fork inherit binds a child`() throws {
    try run(Policies.image(grant: ", on-fork: inherit")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "ok")
    }
  }

  @Test func `a child forked before a revoke of its parent is told revoked`() throws {
    try run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try scene.postern("revoke", "--pid", "\(parent.pid)").status == 0)
      #expect(try parent("child 0 revalidate") == "revoked")
      #expect(try parent("child 0 open image") == "revoked")
    }
  }

  @Test func `a stranger with the descriptor cannot issue an instruction`() throws {
    try run(Policies.image()) { scene in
      let holder = try scene.actor()
      let stranger = try scene.actor()
      #expect(try holder("open image") == "ok")
      #expect(try stranger("offer \(scene.meeting)") == "waiting")
      #expect(try holder("give \(scene.meeting)") == "given")
      #expect(try stranger("take") == "taken")
      #expect(try stranger("read") == "not-associated")
      #expect(try stranger("adopt") == "ok")
      #expect(try stranger("read") == "not-associated")
    }
  }

  @Test func `a program that asks and then executes a trusted one gains nothing`() throws {
    try run(Policies.image(application: ", executable: $ACTOR")) { scene in
      let evil = try scene.actor("stranger")
      #expect(try evil("open image") == "no-such-object")
      try scene.whileStopped {
        let answer = try evil("race image $actor")
        #expect(answer == "executed")
      }
      #expect(evil.heard() == "refused nonce")
    }
  }
}

import Testing

/// A broker that runs as an ordinary user, for programs of that user, and is not told of forks by the kernel: descent
/// is shown by presenting the inherited channel, which is the weaker rule that `doctor` tells of.
@Suite struct OrdinaryUserTests {
  private func run(_ policy: String, _ body: (Scene) throws -> Void) throws {
    try Scene.run(policy, broker: .application, application: .application, body)
  }

  @Test func `doctor says that there are no fork events`() throws {
    try run(Policies.image()) { scene in
      let line = try scene.postern("doctor").output.split(separator: "\n").first { $0.hasPrefix("fork events") }
      #expect(line?.contains("works") == false)
    }
  }

  @Test func `a forked child is refused, revalidates with the inherited channel, and works`() throws {
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

  @Test func `an exec is seen without fork events, also by a thread that is not the leader`() throws {
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

  @Test func `on-exec keep works without fork events`() throws {
    try run(Policies.image(grant: ", on-exec: keep")) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("exec $actor") == "executed")
      #expect(try process("read") == "ok")
    }
  }

  @Test func `a daemon's child revalidates and works without fork events`() throws {
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

  @Test func `on-fork deny refuses a child without fork events`() throws {
    try run(Policies.image(grant: ", on-fork: deny")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "refused fork-denied")
    }
  }

  @Test func `on-fork inherit binds a child without fork events`() throws {
    try run(Policies.image(grant: ", on-fork: inherit")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "ok")
    }
  }

  @Test func `a child forked before a revoke of its parent is told revoked without fork events`() throws {
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

  @Test func `a stranger with the descriptor cannot issue an instruction without fork events`() throws {
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

  @Test func `a program that asks and then executes a trusted one gains nothing without fork events`() throws {
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

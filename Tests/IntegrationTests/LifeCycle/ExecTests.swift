import TestSupport
import Testing

@Suite struct ExecTests {
  @Test func `an exec drops the association, and revalidation after it is refused`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("exec $actor") == "executed")
      #expect(try process("read") == "not-associated")
      #expect(try process("revalidate") == "refused not-descended")
      #expect(try scene.journal(of: "\(process.pid)").contains { $0.kind == "drop" && $0.cause == "exec" })
    }
  }

  @Test func `a program that has executed another one may open anew`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("exec $actor") == "executed")
      #expect(try process("open image") == "ok")
      #expect(try process("read") == "ok")
    }
  }

  @Test func `an exec by a thread that is not the leader drops the association`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("exec-in-thread $actor") == "executed")
      #expect(try process("pid") == "\(process.pid)")
      #expect(try process("read") == "not-associated")
      #expect(try process("revalidate") == "refused not-descended")
    }
  }

  @Test func `a child that executes another program is a stranger on the channel that it inherited`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 exec $actor") == "executed")
      #expect(try parent("child 0 read") == "not-associated")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "refused not-descended")
      #expect(try parent("read") == "ok")
    }
  }

  @Test func `a child forked after its parent's exec descends from nobody who holds the object`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("exec $actor") == "executed")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "refused not-descended")
    }
  }

  @Test func `on-exec keep lets a program that the selector matches work on`() throws {
    try Scene.run(Policies.image(grant: ", on-exec: keep")) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      let association = try process("association")
      #expect(try process("exec $actor") == "executed")
      #expect(try process("read") == "ok")
      #expect(try scene.associations().map { "\($0.id)" } == [association])
    }
  }

  @Test func `on-exec keep lets a process exec many times`() throws {
    try Scene.run(Policies.image(grant: ", on-exec: keep")) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      for _ in 0..<5 {
        #expect(try process("exec $actor") == "executed")
        #expect(try process("read") == "ok")
      }
    }
  }

  @Test func `on-exec keep drops the association of a program that the selector does not match`() throws {
    try Scene.run(Policies.image(application: ", executable: $ACTOR", grant: ", on-exec: keep")) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("exec $stranger") == "executed")
      #expect(try process("read") == "not-associated")
      #expect(try process("revalidate").hasPrefix("refused"))
      #expect(try scene.journal(of: "\(process.pid)").contains { $0.kind == "drop" && $0.cause == "exec" })
    }
  }

  @Test func `the exit of a process drops its association, with a record`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try scene.associations().count == 1)
      #expect(try process("exit") == "exiting")
      process.waitForEnd()
      #expect(try eventually { try scene.associations().isEmpty })
      let record = try #require(try scene.journal(of: "\(process.pid)").last)
      #expect(record.kind == "drop")
      // A process closes its descriptors before it has ended (kernel/exit.c), and the broker may see either first.
      #expect(["exit", "closed"].contains(record.cause))
      #expect(record.object == "image")
    }
  }

  @Test func `a process that closes its channel has no association any more`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("close") == "closed")
      #expect(try eventually { try scene.associations().isEmpty })
      #expect(try scene.journal(of: "\(process.pid)").last?.cause == "closed")
    }
  }
}

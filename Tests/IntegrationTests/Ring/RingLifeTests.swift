import Glibc
import TestSupport
import Testing

@Suite(.enabled(if: Tier.rings, "rings of others need root")) struct RingLifeTests {
  private func opened(_ policy: String, _ object: String, _ body: (Scene, Dialogue) throws -> Void) throws {
    try Scene.run(policy) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open \(object)") == "0")
      try body(scene, process)
    }
  }

  @Test func `a ring that is shared on purpose works, and ends with the revoke`() throws {
    try opened(RingPolicies.image(), "image") { (scene: Scene, process: Dialogue) throws in
      #expect(try process("share read") == "512")
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      #expect(try process("share read") == "EBADF")
      #expect(try process("do read") == "EBADF")
      #expect(try scene.loopDevices() == 0)
    }
  }

  @Test func `nothing comes into a ring while there is no room for the record of its grant`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      scene.killBroker()
      let state = scene.folder + "/state"
      try Command.demand(["/usr/bin/mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", state])
      defer { _ = try? Command.run(["/usr/bin/umount", "--lazy", state]) }
      try scene.startAgain()
      let ballast = state + "/ballast"
      let filled = try Command.run(["/usr/bin/dd", "if=/dev/zero", "of=\(ballast)", "bs=4k"])
      #expect(filled.status != 0, "there was room for everything")
      let process = try scene.start("library-ring", arguments: [])
      // They fill what the last page of the segment still takes.
      for _ in 0..<60 {
        _ = try process("ring")
        let said = try process("open nothing")
        #expect(said.hasSuffix("no-such-object"), "\(said)")
      }
      _ = try process("ring")
      let said = try process("open image")
      #expect(said.hasSuffix("undecidable"), "\(said)")
      #expect(try process("do read") != "512")
      #expect(try scene.associations().isEmpty)
      #expect(try eventually { try scene.loopDevices() == 0 })
      try Command.demand(["/usr/bin/rm", ballast])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      #expect(try process("do read") == "512")
    }
  }

  @Test func `a child has a ring of its own after a revalidation, revocable alone`() throws {
    try opened(RingPolicies.image(), "image") { (scene: Scene, process: Dialogue) throws in
      #expect(try process("again image read") == "512")
      #expect(try process("do read") == "512")
      #expect(try scene.journal().contains { $0.kind == "revalidate" && $0.path == "ring" })
    }
  }

  @Test func `on-fork deny keeps a child from a ring`() throws {
    try opened(RingPolicies.image(grant: ", on-fork: deny"), "image") { (_: Scene, process: Dialogue) throws in
      #expect(try process("again image read") == "EKEYREJECTED refused")
    }
  }

  @Test func `a revoked process gets no other ring before a grant`() throws {
    try opened(RingPolicies.image(), "image") { (scene: Scene, process: Dialogue) throws in
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      _ = try process("ring")
      #expect(try process("open image") == "EKEYREVOKED revoked")
      let granted = try scene.postern("grant", "--application", "app", "--object", "image", "--operations", "read")
      #expect(granted.status == 0)
      _ = try process("ring")
      #expect(try process("open image") == "0")
      #expect(try process("do read") == "512")
    }
  }

  @Test func `an association that expires takes its ring along`() throws {
    try opened(RingPolicies.image(grant: ", expires: 1s"), "image") { (scene: Scene, process: Dialogue) throws in
      #expect(try process("do read") == "512")
      #expect(try eventually { try scene.associations().isEmpty })
      #expect(try eventually { try process("do read") == "EBADF" })
    }
  }

  @Test func `a reload that takes the grant away empties the ring`() throws {
    try opened(RingPolicies.image(), "image") { (scene: Scene, process: Dialogue) throws in
      try scene.write("policy.yaml", try scene.expand(RingPolicies.image(grant: ", on-exec: keep")))
      #expect(try scene.postern("reload").status == 0)
      #expect(try eventually { try process("do read") == "EBADF" })
    }
  }

  @Test func `when its process ends nothing of a ring is left`() throws {
    try opened(RingPolicies.image(), "image") { (scene: Scene, process: Dialogue) throws in
      kill(process.pid, SIGKILL)
      #expect(try eventually { try scene.associations().isEmpty })
      #expect(try eventually { try scene.loopDevices() == 0 })
    }
  }

  @Test func `when the broker is killed its rings are emptied`() throws {
    try opened(RingPolicies.image(), "image") { (scene: Scene, process: Dialogue) throws in
      scene.killBroker()
      #expect(try eventually { try process("do read") == "EBADF" })
      #expect(try eventually { try scene.loopDevices() == 0 })
      try scene.startAgain()
      #expect(try process("do read") == "EBADF")
    }
  }

  @Test func `a ring that is kept through an exec on purpose is emptied`() throws {
    try opened(RingPolicies.image(), "image") { (scene: Scene, process: Dialogue) throws in
      #expect(try process("exec read") == "EBADF")
      #expect(try scene.journal(of: "\(process.pid)").contains { $0.kind == "drop" && $0.cause == "exec" })
    }
  }

  @Test func `a child whose parent has executed something else since descends from no holder`() throws {
    try opened(RingPolicies.image(), "image") { (scene: Scene, process: Dialogue) throws in
      try process.tell("later image")
      #expect(try process("exec read") == "EBADF")
      #expect(process.heard() == "EKEYREJECTED refused")
      #expect(try scene.journal().last { $0.kind == "refusal" }?.detail == "not-descended")
    }
  }

  @Test func `where on-exec says keep, it goes on working`() throws {
    try opened(RingPolicies.image(grant: ", on-exec: keep"), "image") { (scene: Scene, process: Dialogue) throws in
      let result = try process("exec read")
      let drops = try scene.journal(of: "\(process.pid)").filter { $0.kind == "drop" }
      #expect(result == "512", "\(drops)")
    }
  }

  @Test func `what is in flight at a revoke ends without success`() throws {
    try opened(RingPolicies.udp(), "dns") { (scene: Scene, process: Dialogue) throws in
      for request in ["receive", "receive-worker", "poll"] { _ = try process("start \(request)") }
      #expect(try scene.postern("revoke", "--object", "dns").status == 0)
      let results = try (0..<3).map { _ in try process("end") }
      #expect(results == ["ECANCELED", "ECANCELED", "ECANCELED"])
      #expect(try process("do receive") == "EBADF")
    }
  }

  /// Emptying the slots alone leaves alive what was under way.
  @Test func `without the cancel it would go on succeeding`() throws {
    try Scene.run(RingPolicies.udp()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      #expect(try process("twin-udp \(scene.address) 7779") == "0")
      for request in ["receive", "receive-worker", "poll"] { _ = try process("start \(request)") }
      usleep(50_000)
      _ = try process("empty")
      for _ in 0..<3 { try scene.sendDatagram("late", port: 7779) }
      let results = try (0..<3).map { _ in try process("end") }
      #expect(results.contains("4"), "\(results)")
    }
  }
}

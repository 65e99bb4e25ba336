import Glibc
import TestSupport
import Testing

@Suite struct ExpiryTests {
  @Test func `an association ends at its expiry, and only a new open helps`() throws {
    try Scene.run(Policies.image(grant: ", expires: 1s")) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("read") == "ok")
      #expect(try process("changed") == "expired")
      #expect(try process("read") == "expired")
      #expect(try process("revalidate").hasPrefix("refused"))
      #expect(try process("read") == "expired")
      #expect(try process("open image") == "ok")
      #expect(try process("read") == "ok")
      #expect(try scene.journal(of: "\(process.pid)").contains { $0.kind == "drop" && $0.cause == "expiry" })
    }
  }

  @Test func `a runtime grant's expiry, revoke and reload are in the journal, each once`() throws {
    try Scene.run(Policies.image()) { scene in
      func grant(_ more: String...) throws {
        let line = ["grant", "--application", "app", "--object", "image", "--operations", "read"] + more
        #expect(try scene.postern(line).status == 0)
      }
      func told() throws -> [String] {
        try scene.journal().filter { $0.kind.hasPrefix("runtime-grant") }
          .map { "\($0.kind) \($0.runtimeGrant ?? 0) \($0.expires == nil ? "-" : "expires") \($0.cause ?? "-")" }
      }
      try grant("--expires", "1s")
      try grant()
      #expect(try eventually { try told().count == 3 })
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      try grant()
      #expect(try scene.postern("reload").status == 0)
      #expect(
        try told() == [
          "runtime-grant 1 expires -", "runtime-grant 2 - -", "runtime-grant-end 1 expires expiry",
          "runtime-grant-end 2 - revoke", "runtime-grant 3 - -",
        ])
    }
  }

  @Test func `an accept that waits ends with expired`() throws {
    try Scene.run(Policies.listener(grant: ", expires: 1s")) { scene in
      let process = try scene.actor()
      #expect(try process("open web") == "ok")
      #expect(try process("bind") == "ok")
      #expect(try process("listen") == "ok")
      #expect(try process("issue accept") == "issued")
      #expect(try process("collect") == "expired")
    }
  }

  @Test func `a child's association does not outlive its ancestor's expiry`() throws {
    try Scene.run(Policies.image(grant: ", expires: 2s")) { scene in
      let parent = try scene.actor()
      let began = ContinuousClock.now
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      usleep(1_200_000)
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "ok")
      #expect(try parent("child 0 read") == "ok")
      #expect(try parent("child 0 changed") == "expired")
      // Two seconds from the child's own start would be more than three from its parent's.
      #expect(ContinuousClock.now - began < .milliseconds(3100))
      #expect(try parent("child 0 read") == "expired")
    }
  }

  @Test func `a child that asks after its ancestor's expiry is refused`() throws {
    try Scene.run(Policies.image(grant: ", expires: 1s")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("changed") == "expired")
      #expect(try parent("child 0 revalidate") == "refused ancestor-expired")
    }
  }
}

import Foundation
import TestSupport
import Testing

/// Each reason, from a refusal that a real broker made.
@Suite struct WhyTests {
  @Test func `no-such-object: the nearest rule, and the key of it that did not match`() throws {
    try Scene.run(Policies.image(application: ", executable: $ACTOR")) { scene in
      let stranger = try scene.actor("stranger")
      #expect(try stranger("open image") == "no-such-object")
      let retold = try scene.why(try scene.refusal(of: stranger.pid))
      #expect(retold.rule.cause == "no-matching-application")
      #expect(retold.rule.application == "app")
      #expect(retold.rule.mismatch == "executable")
      #expect(retold.why.contains { $0.contains("nearest rule is that of application app, but its key executable") })
      #expect(retold.why.contains { $0.hasPrefix("observed: ") && $0.hasSuffix("/stranger") }, "\(retold.why)")
      #expect(retold.now?.contains { $0.contains("executable does not (policy: ") } == true, "\(retold)")
      #expect(retold.path == ["mediated: the broker refused at the door"])
    }
  }

  @Test func `no-such-object: an object that is not there, and one like it that is`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open imagf") == "no-such-object")
      let retold = try scene.why(try scene.refusal(of: process.pid))
      #expect(retold.rule.cause == "unknown-object")
      #expect(retold.why.contains("did it mean image?"), "\(retold.why)")
    }
  }

  @Test func `the policy of now is found where it was named from the broker's own folder`() throws {
    try Scene.run(Policies.image()) { scene in
      scene.killBroker()
      try scene.startAgain(policy: "policy.yaml")
      #expect(try scene.tool("write", "image", input: "x").status == 1)
      let retold = try scene.why(try scene.refusal("operation"))
      #expect(retold.now?.first == "the policy of now refuses it too", "\(retold)")
    }
  }

  @Test func `operation: at the door and of an instruction, asked against granted`() throws {
    try Scene.run(Policies.image()) { scene in
      let write = try scene.tool("write", "image", input: "x")
      #expect(write.status == 1, "\(write)")
      let door = try scene.why(try scene.refusal("operation"))
      #expect(door.rule.cause == "operations-missing")
      #expect(door.why.contains("observed: write") && door.why.contains("not granted: write"), "\(door.why)")
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("info") == "operation")
      let instruction = try scene.why(try scene.refusal(of: process.pid))
      #expect(instruction.what == ["info on image"])
      #expect(instruction.why.contains("the association covers: read"), "\(instruction.why)")
      #expect(instruction.path == ["mediated: the broker's interpreter refused the instruction"])
      // What came before to this process: its association.
      #expect(instruction.before.contains { $0.contains("granted") }, "\(instruction.before)")
    }
  }

  @Test func `limit: observed against granted`() throws {
    let policy = """
      version: 1
      objects:
        image: { kind: disk, path: $IMAGE, range: { offset: 0, length: 4096 }, access: read-write }
      applications:
        app: { user: $USER }
      grants:
        - { application: app, object: image, operations: [read, write] }
      """
    try Scene.run(policy) { scene in
      let refused = try scene.tool("write", "image", "--offset", "4000", input: String(repeating: "x", count: 200))
      #expect(refused.status == 1, "\(refused)")
      let retold = try scene.why(try scene.refusal("limit"))
      #expect(retold.why.contains("observed: write of 200 bytes at 4000"), "\(retold.why)")
      #expect(retold.why.contains("granted: app: range: { offset: 0, length: 4096 }"))
      #expect(retold.replayed == "same")
    }
  }

  @Test func `stale: the object was replaced, and when the association had begun`() throws {
    try Scene.run(Policies.image()) { scene in
      let old = try scene.actor()
      #expect(try old("open image") == "ok")
      try scene.write("other", String(repeating: "B", count: 8192))
      _ = try Command.run(["/bin/mv", scene.folder + "/other", scene.image])
      let new = try scene.actor()
      #expect(try new("open image") == "ok")
      #expect(try old("read") == "stale")
      let retold = try scene.why(try scene.refusal(of: old.pid))
      #expect(retold.why.contains { $0.hasPrefix("the object is of generation") }, "\(retold.why)")
      #expect(retold.why.contains { $0.hasSuffix("replaced") }, "\(retold.why)")
    }
  }

  @Test func `revoked: by whom and when, for the association and for a new open`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      #expect(try process("read") == "revoked")
      let instruction = try scene.why(try scene.refusal(of: process.pid))
      #expect(instruction.why.contains { $0.hasPrefix("revoked at ") && $0.contains("by uid ") }, "\(instruction.why)")
      #expect(try process("open image") == "revoked")
      let record = try scene.refusal(of: process.pid)
      let door = try scene.why(record)
      #expect(door.rule.cause == "standing-revoke")
      #expect(
        try scene.suggest(record).suggestions.first?.commands.first?.hasPrefix("postern grant --application app")
          == true)
    }
  }

  @Test func `not-associated: a forked child that has not asked`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 read") == "not-associated")
      let record = try scene.refusal(of: Int32(child) ?? 0)
      let retold = try scene.why(record)
      #expect(
        retold.why.contains { $0.contains("nothing that was read says that this process ever had") }, "\(retold.why)")
      #expect(try scene.suggest(record).suggestions.first?.notes.contains { $0.contains("revalidate") } == true)
    }
  }

  @Test func `expired: when it had been associated`() throws {
    try Scene.run(Policies.image(grant: ", expires: 1s")) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("changed") == "expired")
      #expect(try process("read") == "expired")
      let retold = try scene.why(try scene.refusal(of: process.pid))
      #expect(retold.why.contains { $0.hasPrefix("it was associated at ") }, "\(retold.why)")
      #expect(retold.replayed == "same")
    }
  }

  @Test func `busy: who holds it, and the command that takes it back`() throws {
    try Scene.run(Policies.image(object: ", exclusive: true")) { scene in
      let first = try scene.actor()
      let second = try scene.actor()
      #expect(try first("open image") == "ok")
      #expect(try second("open image") == "busy")
      let record = try scene.refusal(of: second.pid)
      let retold = try scene.why(record)
      #expect(retold.why.contains { $0.hasPrefix("held by process \(first.pid) of application app") }, "\(retold.why)")
      let commands = try #require(try scene.suggest(record).suggestions.first?.commands)
      let revoke = try #require(commands.first { $0.hasPrefix("postern revoke --association ") })
      let words = revoke.split(separator: " ").map(String.init)
      #expect(try scene.postern(words[1], words[2], words[3]).status == 0)
      #expect(try first("read") == "revoked")
    }
  }

  @Test func `quota: whose, and where to look`() throws {
    try Scene.run(Policies.image(application: ", processes: 1")) { scene in
      let first = try scene.actor()
      let second = try scene.actor()
      #expect(try first("open image") == "ok")
      #expect(try second("open image") == "quota")
      let record = try scene.refusal(of: second.pid)
      let retold = try scene.why(record)
      #expect(retold.why.contains("the rule is that of application app"), "\(retold.why)")
      #expect(retold.replayed == "undecidable")
      #expect(try scene.suggest(record).suggestions.first?.commands == ["postern association list --application app"])
    }
  }

  @Test func `refused: the rule of the grant that said no`() throws {
    try Scene.run(Policies.image(grant: ", on-fork: deny")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "refused fork-denied")
      let retold = try scene.why(try scene.refusal(of: Int32(child) ?? 0))
      #expect(retold.why.contains("on-fork: deny"), "\(retold.why)")
      #expect(retold.what.first?.hasPrefix("revalidation for image: read") == true, "\(retold.what)")
    }
  }

  @Test func `undecidable: which look-up failed`() throws {
    try Scene.run(Policies.image(application: ", namespace: { network: $FOLDER/nowhere }")) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "undecidable")
      let record = try scene.refusal(of: process.pid)
      let retold = try scene.why(record)
      #expect(retold.why.contains("the asker's expected network namespace could not be found out"), "\(retold.why)")
      #expect(try scene.suggest(record).suggestions.first?.commands == ["postern status", "postern doctor"])
    }
  }
}

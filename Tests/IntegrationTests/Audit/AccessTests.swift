import Foundation
import TestSupport
import Testing

/// Who may read what of the journal, through a real broker of root's.
@Suite(.enabled(if: Tier.root, "needs root, to act as two users")) struct AccessTests {
  private func run(_ readers: String = "", _ body: (Scene, JournalRecord, JournalRecord) throws -> Void) throws {
    try Scene.run(Policies.image() + readers) { scene in
      // Two refusals: root's, and nobody's.
      #expect(try scene.postern("read", "nothing-of-yours").status == 1)
      let foreign = try scene.refusal("no-such-object")
      let process = try scene.actor()
      #expect(try process("open mine") == "no-such-object")
      let own = try scene.refusal(of: process.pid)
      #expect(foreign.uid == 0 && own.uid == 65534)
      try body(scene, foreign, own)
    }
  }

  @Test func `a user sees the refusals of their own processes, without more rights`() throws {
    try run { scene, _, own in
      let listed = try scene.postern("audit", "list", "--format", "json", as: .nobody)
      #expect(listed.status == 0)
      #expect(listed.output.contains("\"sequence\":\(own.sequence),"))
      #expect(!listed.output.contains("nothing-of-yours"))
      let retold = try scene.postern("audit", "why", "\(own.sequence)", as: .nobody)
      #expect(retold.status == 0)
      // What it may not know it is not told by the journal either.
      #expect(
        !retold.output.contains("no such object\"") && !retold.output.contains("policy has no"), "\(retold.output)")
    }
  }

  @Test func `another's record does not exist for a user, whatever command asks for it`() throws {
    try run { scene, foreign, own in
      for words in [["why"], ["suggest"]] {
        let result = try Command.run(
          Account.nobody.prefix + [try Programs.path("postern"), "--socket", scene.socket, "audit"] + words
            + ["\(foreign.sequence)"])
        #expect(result.status == 1, "\(result)")
        #expect(result.errors.contains("there is no record \(foreign.sequence) among those of your own uid"))
        // No other answer for one that never was.
        let never = try Command.run(
          Account.nobody.prefix + [try Programs.path("postern"), "--socket", scene.socket, "audit"] + words + ["999999"]
        )
        #expect(
          never.errors.replacing("999999", with: "N") == result.errors.replacing("\(foreign.sequence)", with: "N"))
      }
      for format in ["jsonl", "csv", "cef", "audit"] {
        let exported = try scene.postern("audit", "export", "--format", format, as: .nobody)
        #expect(exported.status == 0)
        #expect(exported.output.contains("mine") && !exported.output.contains("nothing-of-yours"))
      }
      let counted = try scene.postern("audit", "stats", "--by", "uid", "--format", "json", as: .nobody)
      #expect(counted.output.contains("\"groupCount\":1") && counted.output.contains("\"uid\":65534"), "\(counted)")
      let replayed = try scene.postern(
        "audit", "replay", "--policy", scene.policyPath, "--all", "--format", "json", as: .nobody)
      #expect(!replayed.output.contains("nothing-of-yours"))
      #expect(own.sequence > foreign.sequence)
    }
  }

  @Test func `to ask for another user's records or process is not permitted, and is written down`() throws {
    try run { (scene, _, _) throws in
      #expect(try scene.postern("audit", "list", "--user", "root", as: .nobody).status == 77)
      #expect(try scene.postern("audit", "list", "--user", "nobody", as: .nobody).status == 0)
      #expect(try scene.postern("audit", "list", "--pid", "\(scene.brokerPID)", as: .nobody).status == 77)
      #expect(
        try scene.journal().contains { $0.uid == 65534 && $0.message?.contains("not permitted: associations") == true })
    }
  }

  @Test func `a member of the readers' group reads everything and changes nothing`() throws {
    let group = try Command.demand(["/usr/bin/id", "-gn", "65534"]).trimmingCharacters(in: .whitespacesAndNewlines)
    try run("audit: { readers: \(group) }\n") { scene, foreign, own in
      let listed = try scene.postern("audit", "list", "--format", "json", as: .nobody)
      #expect(listed.output.contains("\"sequence\":\(foreign.sequence),"))
      #expect(try scene.postern("audit", "list", "--user", "root", as: .nobody).status == 0)
      let retold = try scene.postern("audit", "why", "\(own.sequence)", as: .nobody)
      #expect(retold.output.contains("the policy has no such object"), "\(retold.output)")
      #expect(try scene.postern("reload", as: .nobody).status == 77)
      #expect(try scene.postern("revoke", "--object", "image", as: .nobody).status == 77)
    }
  }

  @Test func `an empty answer says why it is empty`() throws {
    try run { scene, _, _ in
      let narrow = try scene.postern("audit", "list", "--object", "mine", "--reason", "limit")
      #expect(narrow.status == 0 && narrow.output.isEmpty)
      #expect(narrow.errors.contains("no record at all has --reason limit"), "\(narrow.errors)")
      #expect(narrow.errors.contains("without --reason limit there would be 1"))
      let foreign = try scene.postern("audit", "list", "--object", "nothing-of-yours", as: .nobody)
      #expect(foreign.output.isEmpty)
      #expect(foreign.errors.contains("only records of your own uid are shown to you"), "\(foreign.errors)")
      let gone = try Command.run([
        try Programs.path("postern"), "--socket", scene.folder + "/no-socket", "audit", "list",
      ])
      #expect(gone.status == 69)
      #expect(gone.errors.contains("no broker at"))
      // Where the user's own broker would be there is one.
      let runtime = scene.folder + "/open/postern"
      try FileManager.default.createDirectory(atPath: runtime, withIntermediateDirectories: false)
      try FileManager.default.createSymbolicLink(
        atPath: runtime + "/postern.sock", withDestinationPath: scene.socket)
      let elsewhere = try Command.run([
        "/usr/bin/env", "XDG_RUNTIME_DIR=\(scene.folder)/open", try Programs.path("postern"), "--socket",
        scene.folder + "/no-socket", "audit", "list",
      ])
      #expect(elsewhere.errors.contains("There is a socket at \(runtime)/postern.sock"), "\(elsewhere.errors)")
    }
  }
}

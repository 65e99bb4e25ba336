import Foundation
import TestSupport
import Testing

/// The suggestion for a real refusal, applied to the real file and reloaded: exactly that succeeds.
@Suite(.enabled(if: Tier.has("patch"), "patch is not installed")) struct SuggestTests {
  private static let two = """
    # Two images.
    version: 1
    objects:
      image: { kind: disk, path: $IMAGE, range: { offset: 0, length: 4096 }, access: read-write }  # the first half
      other: { kind: disk, path: $FOLDER/other }
    applications:
      # The tests'.
      app: { user: $USER, executable: $ACTOR }
      tool:
        user: $USER
        executable: $TOOL
    grants:
      - application: app
        object: image
        operations: [read]   # reading only
      - { application: tool, object: image, operations: [read] }

    """

  private func run(_ policy: String = two, _ body: (Scene) throws -> Void) throws {
    let tool = try Programs.path("postern")
    try Scene.run(policy.replacing("$TOOL", with: tool)) { scene in
      try scene.write("other", "BBBBBBBB")
      try body(scene)
      // Whatever was changed: the comments are still there.
      let text = try String(contentsOfFile: scene.policyPath, encoding: .utf8)
      #expect(text.contains("# Two images.") && text.contains("# The tests'."), "\(text)")
    }
  }

  @Test func `no-such-object: the program that was refused, and no other, gets the object`() throws {
    try run { scene in
      let process = try scene.actor()
      let stranger = try scene.actor("stranger")
      #expect(try stranger("open image") == "no-such-object")
      #expect(try stranger("open other") == "no-such-object")
      #expect(try process("open other") == "no-such-object")
      let suggested = try scene.suggest(try scene.refusal(of: process.pid))
      try scene.apply(suggested.diff)
      #expect(try process("open other") == "ok")
      #expect(try process("read") == "ok")
      #expect(try stranger("open other") == "no-such-object")
      #expect(try stranger("open image") == "no-such-object")
      #expect(try scene.tool("read", "other").status == 1)
    }
  }

  @Test func `no-such-object: a stranger gets an application of its own`() throws {
    try run { scene in
      let stranger = try scene.actor("stranger")
      #expect(try stranger("open image") == "no-such-object")
      let suggested = try scene.suggest(try scene.refusal(of: stranger.pid))
      #expect(suggested.diff.contains("+  stranger: { user: "), "\(suggested.diff)")
      try scene.apply(suggested.diff)
      #expect(try stranger("open image") == "ok")
      #expect(try stranger("read") == "ok")
      #expect(try stranger("info") == "operation")
      #expect(try stranger("open other") == "no-such-object")
    }
  }

  @Test func `operation: the write succeeds, and the other application may not write`() throws {
    try run { scene in
      #expect(try scene.tool("write", "image", input: "x").status == 1)
      let suggested = try scene.suggest(try scene.refusal("operation"))
      try scene.apply(suggested.diff)
      #expect(try scene.tool("write", "image", input: "x").status == 0)
      #expect(try scene.tool("transfer", "image", "--write", "00").status == 1)
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("info") == "operation")
      let text = try String(contentsOfFile: scene.policyPath, encoding: .utf8)
      #expect(text.contains("operations: [read]   # reading only"))
    }
  }

  @Test func `operation: an instruction's, of the application that issued it`() throws {
    try run { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try process("info") == "operation")
      let suggested = try scene.suggest(try scene.refusal(of: process.pid))
      try scene.apply(suggested.diff)
      #expect(try process("open image") == "ok")
      // Allowed: the actor leaves no room for the answer.
      #expect(try process("info") == "EMSGSIZE")
      #expect(try String(contentsOfFile: scene.policyPath, encoding: .utf8).contains("[read, info]   # reading only"))
    }
  }

  @Test func `limit: exactly the bytes that were written, and not one more`() throws {
    try run { scene in
      #expect(try scene.tool("write", "image", input: "x").status == 1)
      try scene.apply(try scene.suggest(try scene.refusal("operation")).diff)
      let block = String(repeating: "x", count: 200)
      #expect(try scene.tool("write", "image", "--offset", "4000", input: block).status == 1)
      let suggested = try scene.suggest(try scene.refusal("limit"))
      #expect(suggested.diff.contains("length: 4200"), "\(suggested.diff)")
      try scene.apply(suggested.diff)
      #expect(try scene.tool("write", "image", "--offset", "4000", input: block).status == 0)
      #expect(try scene.tool("write", "image", "--offset", "4001", input: block).status == 1)
      // The other application's grant keeps its half.
      #expect(
        try String(contentsOfFile: scene.policyPath, encoding: .utf8).contains("range: { offset: 0, length: 4096 }"))
    }
  }

  @Test func `refused: the key of the grant that said no`() throws {
    try run(SuggestTests.two.replacing("[read]   # reading only", with: "[read]   # reading only\n    on-fork: deny")) {
      scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      let child = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "refused fork-denied")
      let suggested = try scene.suggest(try scene.refusal(of: Int32(child) ?? 0))
      #expect(suggested.diff.contains("+    on-fork: revalidate"), "\(suggested.diff)")
      try scene.apply(suggested.diff)
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 1 adopt") == "ok")
      #expect(try parent("child 1 revalidate") == "ok")
      #expect(try parent("child 1 read") == "ok")
      #expect(try parent("child 1 info") == "operation")
    }
  }

  @Test func `refused: a program that is to hold the descriptor itself needs handover, which is warned of`() throws {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.tool("open", "image", "--", "/bin/true").status == 125)
      let suggested = try scene.suggest(try scene.refusal("refused"))
      #expect(suggested.diff.contains("operations: [read], handover: true }"), "\(suggested.diff)")
      #expect(suggested.suggestions.first?.warnings.contains { $0.hasPrefix("handover: ") } == true)
      try scene.apply(suggested.diff)
      #expect(try scene.tool("open", "image", "--", "/bin/true").status == 0)
      #expect(try scene.tool("write", "image", input: "x").status == 1)
    }
  }

  @Test(.enabled(if: Tier.root, "needs root, to be refused a port as another user"))
  func `no-such-object: an intercepted call of an unmodified program`() throws {
    let policy = """
      version: 1
      objects:
        web: { kind: socket, listen: "tcp://$ADDRESS:80" }
        other: { kind: socket, listen: "tcp://$ADDRESS:81" }
      applications:
        admin: { user: root }
        any: { user: $USER }
      grants:
        - { application: admin, object: web, operations: [bind], handover: true }
        # So that there is something to run for.
        - { application: any, object: other, operations: [bind], handover: true }
      """
    try Scene.run(policy) { scene in
      func bind(_ program: String, _ port: Int) throws -> Int32 {
        let script =
          program == "python3"
          ? ["-c", "import socket; socket.socket().bind(('\(scene.address)', \(port)))"]
          : [
            "-MSocket", "-e",
            "socket(S,PF_INET,SOCK_STREAM,0); bind(S,sockaddr_in(\(port),inet_aton('\(scene.address)'))) or exit 1",
          ]
        return try Command.run(
          scene.applicationUser.prefix + [try Programs.path("postern"), "--socket", scene.socket, "run", "--"]
            + ["/usr/bin/\(program)"] + script
        ).status
      }
      #expect(try bind("python3", 80) == 1)
      let record = try scene.refusal("no-such-object")
      let suggested = try scene.suggest(record)
      try scene.apply(suggested.diff)
      #expect(try bind("python3", 80) == 0, "\(suggested.diff)")
      #expect(try bind("perl", 80) == 1)
      #expect(try bind("python3", 82) == 1)
    }
  }

  @Test func `replay tells beforehand what the suggested policy will make of the log`() throws {
    try run { scene in
      #expect(try scene.tool("write", "image", input: "x").status == 1)
      let record = try scene.refusal("operation")
      let suggested = try scene.suggest(record)
      try scene.write("diff", suggested.diff)
      try Command.demand(
        ["/usr/bin/patch", "--quiet", "--output", scene.folder + "/new.yaml", scene.policyPath, scene.folder + "/diff"])
      let replay = try scene.postern("audit", "replay", "--policy", scene.folder + "/new.yaml", "--format", "json")
      #expect(replay.status == 0, "\(replay)")
      #expect(
        replay.output.contains(
          "\"sequence\":\(record.sequence),\"verdict\":\"refused\",\"recorded\":\"operation\",\"replayed\":\"now-allowed\""
        ), "\(replay.output)")
      #expect(replay.output.contains("\"nowRefused\":0"), "\(replay.output)")
    }
  }

  @Test func `a life's log stays as it is under the policy that it was written under`() throws {
    let policy = """
      version: 1
      objects:
        image: { kind: disk, path: $IMAGE, exclusive: false }
        web: { kind: socket, listen: "unix://$FOLDER/open/web" }
      applications:
        app: { user: $USER }
      grants:
        - { application: app, object: image, operations: [read], audit: all, handover: true }
        - { application: app, object: web, operations: [bind, listen, accept], on-fork: inherit, expires: 1s }
      """
    try Scene.run(policy) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      #expect(try parent("read") == "ok")
      #expect(try parent("info") == "operation")
      _ = try parent("fork")
      #expect(try parent("child 0 read") == "not-associated")
      #expect(try parent("child 0 join") == "ok")
      #expect(try parent("child 0 read") == "ok")
      let server = try scene.actor()
      #expect(try server("open web") == "ok")
      _ = try server("fork")
      #expect(try server("child 0 adopt") == "ok")
      #expect(try server("child 0 bind") == "ok")
      #expect(try server("changed") == "expired")
      #expect(try server("listen") == "expired")
      #expect(try scene.tool("open", "image", "--", "/bin/true").status == 0)
      #expect(try scene.tool("read", "nothing").status == 1)
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      #expect(try parent("read") == "revoked")
      #expect(try parent("open image") == "revoked")
      let kinds = try scene.journal().map(\.kind)
      #expect(
        Set(kinds).isSuperset(of: ["grant", "revalidate", "use", "refusal", "drop", "revoke", "intent"]), "\(kinds)")
      let replay = try scene.postern(
        "audit", "replay", "--policy", scene.policyPath, "--all", "--format", "json")
      #expect(replay.output.contains("\"nowAllowed\":0,\"nowRefused\":0,\"undecidable\":0,"), "\(replay.output)")
      let same = replay.output.split(separator: "\n").count { $0.contains("\"replayed\":\"same\"") }
      #expect(same >= 12, "\(replay.output)")
    }
  }
}

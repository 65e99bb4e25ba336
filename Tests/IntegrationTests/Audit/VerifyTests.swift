import Foundation
import Glibc
import TestSupport
import Testing

/// The journal of a real broker, verified by the command.
@Suite struct VerifyTests {
  /// A broker of its own whose policy has an image to read and what `audit` says; its end is the test's.
  private func withBroker(_ audit: String = "", _ body: (RunningBroker) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let broker = RunningBroker(in: folder, as: .own)
    try broker.write("image", String(repeating: "A", count: 512))
    try broker.write(
      "policy.yaml",
      """
      version: 1
      objects:
        image: { kind: disk, path: \(folder)/image }
      applications:
        app: { user: \(Account.own.name) }
      grants:
        - { application: app, object: image, operations: [read] }
      audit: { \(audit) }

      """)
    try broker.start()
    defer { broker.end() }
    try body(broker)
  }

  private func postern(_ broker: RunningBroker, _ arguments: String...) throws -> Command.Result {
    try Command.run(try broker.line(arguments))
  }

  /// Takes the first key away; where its card lies.
  private func takeKey(_ broker: RunningBroker) throws -> String {
    let taken = try postern(broker, "audit", "key")
    #expect(taken.status == 0, "\(taken.errors)")
    try broker.write("card", taken.output)
    return broker.folder + "/card"
  }

  private func segment(_ broker: RunningBroker) -> URL {
    URL(filePath: broker.folder + "/state/journal-00000000000000000001.pj")
  }

  @Test func `the first key is shown once, and with it the journal is intact, while the broker writes and afterwards`()
    throws
  {
    try withBroker { broker in
      #expect(broker.errors.contains("postern audit key"))
      #expect(try postern(broker, "read", "image", "--length", "4").output == "AAAA")
      #expect(try postern(broker, "audit", "verify").output.contains("the first key still lies beside the journal"))
      let card = try takeKey(broker)
      let again = try postern(broker, "audit", "key")
      #expect(again.status == 1 && again.output.isEmpty)
      let running = try postern(broker, "audit", "verify", "--key", card)
      #expect(running.status == 0 && running.output.hasPrefix("integrity: intact: "), "\(running)")
      #expect(running.output.contains("completeness: complete up to "))
      broker.end()
      let state = broker.folder + "/state"
      let stopped = try postern(broker, "audit", "verify", "--key", card, "--state-dir", state)
      #expect(stopped.status == 0 && stopped.output.hasPrefix("integrity: intact: "), "\(stopped)")
      let unkeyed = try postern(broker, "audit", "verify", "--state-dir", state)
      #expect(unkeyed.status == 0 && unkeyed.output.hasPrefix("integrity: unkeyed: "))
    }
  }

  @Test func `a changed byte ends verifying with 65 and names the record`() throws {
    try withBroker { broker in
      let card = try takeKey(broker)
      for _ in 0..<3 { _ = try postern(broker, "read", "nothing") }
      broker.end()
      let state = broker.folder + "/state"
      #expect(try postern(broker, "audit", "verify", "--key", card, "--state-dir", state).status == 0)
      var bytes = try Data(contentsOf: segment(broker))
      // In the body of the first record: its boot id.
      bytes[128 + 48 + 20] ^= 1
      try bytes.write(to: segment(broker))
      let found = try postern(
        broker, "audit", "verify", "--key", card, "--state-dir", state, "--format", "json")
      #expect(found.status == 65)
      #expect(found.output.hasPrefix(#"{"integrity":{"verdict":"violated","firstBad":1,"#), "\(found)")
      #expect(found.output.contains(#""missing":[{"first":1,"last":1}]"#))
    }
  }

  @Test func `a killed broker's journal goes on, a torn tail is repaired, and verifying says so`() throws {
    try withBroker { broker in
      let card = try takeKey(broker)
      for _ in 0..<3 { #expect(try postern(broker, "read", "image", "--length", "1").status == 0) }
      let before = try broker.journal().filter { $0.kind == "grant" }.map(\.sequence)
      broker.end(SIGKILL)
      var bytes = try Data(contentsOf: segment(broker))
      bytes.append(contentsOf: [UInt8](repeating: 0x55, count: 77))
      try bytes.write(to: segment(broker))
      let torn = try postern(broker, "audit", "verify", "--key", card, "--state-dir", broker.folder + "/state")
      #expect(torn.status == 1 && torn.output.contains("torn tail: 77 bytes"), "\(torn)")
      try broker.start()
      #expect(try postern(broker, "read", "image", "--length", "1").status == 0)
      let after = try broker.journal().filter { $0.kind == "grant" }.map(\.sequence)
      #expect(after.starts(with: before) && after.count == before.count + 1)
      let repaired = try postern(broker, "audit", "verify", "--key", card)
      #expect(repaired.status == 1 && repaired.output.hasPrefix("integrity: intact: "), "\(repaired)")
      #expect(repaired.output.contains("completeness: repaired, complete up to "))
      #expect(repaired.output.contains("repaired: 77 bytes"))
    }
  }

  @Test func `a reload's sinks and redaction count for what comes, and journald gets it from the confined broker`()
    throws
  {
    try withBroker { broker in
      let daemon = try LogDaemon(broker.folder + "/journald")
      broker.end()
      _ = unsafe setenv("POSTERN_JOURNALD_SOCKET", broker.folder + "/journald", 1)
      defer { _ = unsafe unsetenv("POSTERN_JOURNALD_SOCKET") }
      try broker.start()
      _ = try postern(broker, "read", "before")
      let policy = try String(contentsOfFile: broker.policyPath, encoding: .utf8)
      try broker.write(
        "policy.yaml", policy.replacing("audit: {", with: "audit: { sinks: [journald], redact: [executable]"))
      #expect(try postern(broker, "reload").status == 0)
      _ = try postern(broker, "read", "after")
      var message = ""
      while !message.contains("POSTERN_OBJECT\n") {
        message = String(decoding: try #require(daemon.receive()), as: UTF8.self)
      }
      #expect(message.hasPrefix("MESSAGE=refused "), "what was before the reload is not sent: \(message)")
      #expect(message.contains("after") && message.contains("POSTERN_REASON=no-such-object"))
      #expect(message.contains("[redacted: executable]") && !message.contains("POSTERN_EXECUTABLE"))
      let status = try postern(broker, "status")
      #expect(status.output.contains("audit-sink-journald  "), "\(status)")
    }
  }

  @Test func `a removed end is found with the checkpoint that the policy had copied elsewhere`() throws {
    let elsewhere = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: elsewhere, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: elsewhere) }
    try withBroker("checkpoints: \(elsewhere), sinks: [\"file:\(elsewhere)/log\"], redact: [executable]") { broker in
      let card = try takeKey(broker)
      for _ in 0..<4 { _ = try postern(broker, "read", "nothing") }
      let status = try postern(broker, "status", "--format", "json").output
      let rows = try #require(try JSONSerialization.jsonObject(with: Data(status.utf8)) as? [String: Any])
      #expect(rows.keys.allSatisfy { $0.wholeMatch(of: /[a-z0-9-]+/) != nil }, "\(rows.keys)")
      #expect((rows["audit-sink-file"] as? String)?.contains(" to \(elsewhere)/log") == true, "\(status)")
      #expect((rows["audit-sink-checkpoints"] as? String)?.contains(" to \(elsewhere)") == true, "\(status)")
      let last = try #require(try broker.journal().last?.sequence)
      broker.end()
      let copies = try FileManager.default.contentsOfDirectory(atPath: elsewhere).filter {
        $0.hasSuffix(".checkpoints")
      }
      let copy = elsewhere + "/" + (try #require(copies.first))
      let state = broker.folder + "/state"
      let whole = try postern(broker, "audit", "verify", "--state-dir", state, "--checkpoint", copy)
      #expect(whole.status == 0 && whole.output.contains("checkpoint at \(last + 1): the journal agrees"), "\(whole)")
      // An older journal in its place, as from a backup: its own files agree with each other.
      for name in try FileManager.default.contentsOfDirectory(atPath: state) where name != "journal.signer" {
        try FileManager.default.removeItem(atPath: "\(state)/\(name)")
      }
      let found = try postern(
        broker, "audit", "verify", "--key", card, "--state-dir", state, "--checkpoint", copy)
      #expect(found.status == 65 && found.output.contains("missing: 1-\(last + 1)"), "\(found)")
      let log = try String(contentsOfFile: elsewhere + "/log", encoding: .utf8).split(separator: "\n")
      let records = log.filter { !$0.contains("\"kind\":\"checkpoint\"") }
      #expect(UInt64(records.count) == last + 1)
      #expect(records.contains { $0.contains("\"redacted\":[\"executable\"]") })
      #expect(!log.contains { $0.contains("/postern\"") }, "a redacted path is in the file")
    }
  }
}

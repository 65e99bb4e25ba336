import Audit
import Foundation
import Instructions
import Linux
import Testing

@testable import PosternCommands

/// The commands that read a journal's files themselves.
@Suite struct VerifyTests {
  /// A journal of three records in a folder of its own.
  private final class Folder {
    let path = FileManager.default.temporaryDirectory.path + "/postern-verify-\(UUID().uuidString.prefix(8))"

    init() throws { try write() }

    func write() throws {
      let boot = BootID(high: 1, low: 2)
      let journal = try Journal(
        JournalConfiguration(directory: path, boot: boot),
        now: { AuditTime(wall: 1_700_000_000_000_000_000, boottime: Clock.boottime()) }, onDurable: { _ in })
      for _ in 0..<3 {
        _ = journal.submit(
          AuditRecord(refusal: Refusal(.limit), time: AuditTime(wall: 1, boottime: 2), boot: boot), durability: .none)
      }
      journal.stop()
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  private let nowhere = "/nonexistent/postern.sock"

  @Test func `the key is shown once, verifies from the input, and has a public part at any time`() throws {
    let folder = try Folder()
    let key = RecordedSurroundings()
    #expect(key.run("audit", "key", "--state-dir", folder.path) == .done)
    #expect(key.printed.hasPrefix("postern-journal-key 1\nsource ") && key.complained.contains("keep it elsewhere"))
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/journal.first-key"))
    let verify = RecordedSurroundings(input: key.output)
    #expect(verify.run("audit", "verify", "--key", "-", "--state-dir", folder.path) == .done)
    #expect(
      verify.printed
        == """
        integrity: intact: 3 records, each with its tag under the first key
        completeness: complete up to 3
        checkpoint at 3: the journal agrees

        """)
    let again = RecordedSurroundings()
    #expect(again.run("audit", "key", "--state-dir", folder.path) == .denied)
    #expect(again.output.isEmpty)
    let open = RecordedSurroundings()
    #expect(open.run("audit", "key", "--public", "--state-dir", folder.path, "--format", "json") == .done)
    let card = try #require(try open.json() as? [String: Any])
    let signer = try #require(card["checkpoints"] as? String)
    #expect(card["key"] is NSNull && key.printed.contains(signer))
  }

  @Test func `a key that could not be printed is not taken away`() throws {
    let folder = try Folder()
    let surroundings = RecordedSurroundings()
    surroundings.readerTakes = 10
    #expect(surroundings.run("audit", "key", "--state-dir", folder.path) == .failed)
    #expect(FileManager.default.fileExists(atPath: folder.path + "/journal.first-key"))
  }

  @Test func `a checkpoint is one line that verifying takes`() throws {
    let folder = try Folder()
    let checkpoint = RecordedSurroundings()
    #expect(checkpoint.run("audit", "checkpoint", "--state-dir", folder.path) == .done)
    #expect(checkpoint.printed.hasPrefix("postern-checkpoint 1 source=") && checkpoint.printed.hasSuffix("\n"))
    let verify = RecordedSurroundings(input: checkpoint.output)
    #expect(
      verify.run("audit", "verify", "--checkpoint", "-", "--state-dir", folder.path, "--format", "json") == .done)
    let result = try #require(try verify.json() as? [String: Any])
    #expect((result["integrity"] as? [String: Any])?["verdict"] as? String == "unkeyed")
    #expect((result["completeness"] as? [String: Any])?["verdict"] as? String == "complete")
    #expect((result["completeness"] as? [String: Any])?["upTo"] as? Int == 3)
    #expect(result["records"] as? Int == 3)
  }

  @Test func `what is wrong with the arguments is said, with the code of the contract`() throws {
    let folder = try Folder()
    func run(_ arguments: String...) -> (CommandStatus, String) {
      let surroundings = RecordedSurroundings(input: Array("no card".utf8))
      let status = Invocation.run(["audit"] + arguments + ["--socket", nowhere], in: surroundings)
      return (status, surroundings.complained)
    }
    #expect(run("verify", "--state-dir", folder.path + "/none").0 == .badInput)
    #expect(run("verify", "--state-dir", folder.path, "--key", "-").0 == .badInput)
    #expect(run("verify", "--state-dir", folder.path, "--key", "/nonexistent").0 == .badInput)
    #expect(run("verify", "--state-dir", folder.path, "--checkpoint", "-").1.contains("no checkpoint"))
    #expect(run("verify", "--state-dir", folder.path, "--checkpoint", "-", "--key", "-").0 == .usage)
    #expect(run("verify", "--state-dir", "").0 == .usage)
    let empty = folder.path + "/empty"
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: false)
    #expect(run("verify", "--state-dir", empty).1.contains("there is no journal"))
    let card = RecordedSurroundings()
    #expect(card.run("audit", "key", "--state-dir", folder.path) == .done)
    let keyed = RecordedSurroundings(input: card.output)
    #expect(keyed.run("audit", "verify", "--state-dir", empty, "--key", "-") == .badInput)
    #expect(keyed.complained.contains("there is no journal"))
    #expect(run("checkpoint", "--state-dir", empty).0 == .denied)
    #expect(run("key", "--public", "--state-dir", empty).0 == .badInput)
  }

  @Test func `a first key that does not cover every record ends with 1, and so does one without journal.key`() throws {
    let folder = try Folder()
    func key() throws -> String {
      let key = RecordedSurroundings()
      #expect(key.run("audit", "key", "--state-dir", folder.path) == .done)
      let file = folder.path + "/card-\(UUID().uuidString.prefix(8))"
      try Data(key.output).write(to: URL(filePath: file))
      return file
    }
    func verify(_ keys: String...) -> (CommandStatus, String) {
      let surroundings = RecordedSurroundings()
      let options = keys.flatMap { ["--key", $0] }
      let line = ["audit", "verify", "--state-dir", folder.path] + options
      return (Invocation.run(line, in: surroundings), surroundings.printed)
    }
    let first = try key()
    try FileManager.default.removeItem(atPath: folder.path + "/journal.key")
    #expect(verify(first).0 == .denied && verify(first).1.contains("whether the end is cannot be told"))
    #expect(verify().0 == .done)
    // A broker that has lost its key begins another chain.
    try folder.write()
    let second = try key()
    #expect(verify(first).0 == .denied && verify(first).1.hasPrefix("integrity: uncovered: 4 of 7 records, from 4 on,"))
    #expect(verify(second).0 == .denied && verify(second).1.hasPrefix("integrity: uncovered: 3 of 7 records have"))
    #expect(verify(first, second).0 == .done)
  }

  @Test func `a changed journal ends with 65, and a torn one with 1`() throws {
    let folder = try Folder()
    let segment = URL(filePath: folder.path + "/journal-00000000000000000001.pj")
    let whole = try Data(contentsOf: segment)
    var bytes = whole
    bytes.append(contentsOf: [1, 2, 3])
    try bytes.write(to: segment)
    let torn = RecordedSurroundings()
    #expect(torn.run("audit", "verify", "--state-dir", folder.path) == .denied)
    #expect(torn.printed.contains("completeness: repaired, complete up to 3\n  torn tail: 3 bytes at "))
    bytes = whole
    bytes[bytes.count - 10] ^= 1
    try bytes.write(to: segment)
    let changed = RecordedSurroundings()
    #expect(changed.run("audit", "verify", "--state-dir", folder.path) == .badInput)
    #expect(changed.printed.contains("completeness: incomplete: 1 of the records up to 3 are missing\n  missing: 3\n"))
  }
}

import Authority
import Instructions
import TestSupport
import Testing

@testable import Audit

@Suite struct RedactionTests {
  private func full() -> AuditRecord {
    var record = refusal("object")
    record.operands = Operands(offset: 1, length: 2, request: 3)
    record.operands?.address = NetworkAddress(
      family: .ipv4, bytes: InlineArray(repeating: 9), port: 80)
    record.executable = FileIdentity(device: 1, inode: 2)
    record.executablePath = "/secret/program"
    record.cgroup = "/secret.slice"
    record.message = "secret words"
    record.grant = "secret grant"
    record.pid = 1
    record.uid = 2
    return record
  }

  @Test func `what a policy redacts never reaches the disk, and the record says what was there`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open(change: { $0.redaction = [.operands, .executable, .cgroup, .message, .grant] })
    _ = journal.submit(full(), durability: .none)
    _ = journal.submit(refusal("bare"), durability: .none)
    journal.stop()
    for name in try scratch.segments() {
      #expect(!String(decoding: try scratch.bytes(name), as: UTF8.self).contains("secret"))
    }
    let records = try scratch.records()
    #expect(records[0].redacted.names == ["operands", "executable", "cgroup", "message", "grant"])
    #expect(records[0].operands == nil && records[0].executable == nil && records[0].executablePath == nil)
    #expect(records[0].pid == 1 && records[0].uid == 2 && records[0].object == "object" && records[0].reason == .limit)
    #expect(records[1].redacted.isEmpty, "nothing was there to be kept out")
    #expect(records[0].json.contains("\"redacted\":[\"operands\",\"executable\",\"cgroup\",\"message\",\"grant\"]"))
    #expect(records[0].tableRow.last?.contains("[redacted: operands, executable, cgroup, message, grant]") == true)
  }

  @Test func `the twin: without the policy's word it is all there`() throws {
    let scratch = try Scratch()
    try scratch.write([full()])
    let text = String(decoding: try scratch.bytes("journal-00000000000000000001.pj"), as: UTF8.self)
    for secret in ["/secret/program", "/secret.slice", "secret words", "secret grant"] {
      #expect(text.contains(secret))
    }
    #expect(try scratch.records()[0].redacted.isEmpty)
  }

  @Test func `what a judge saw of a program or a rule is redacted with it`() throws {
    let scratch = try Scratch()
    var generator = SplitMix(state: 7)
    var circumstances = Circumstances.random(&generator)
    circumstances.program = FileIdentity(device: 1, inode: 2)
    circumstances.cause = .unknownFact("secret fact")
    circumstances.mismatch = .user
    var record = refusal("object")
    record.circumstances = circumstances
    let journal = try scratch.open(change: { $0.redaction = [.executable, .grant] })
    _ = journal.submit(record, durability: .none)
    journal.stop()
    let read = try scratch.records()[0]
    let kept = try #require(read.circumstances)
    #expect(kept.program == nil && kept.cause == nil && kept.mismatch == nil && kept.asked == circumstances.asked)
    #expect(read.redacted == [.executable, .grant])
  }

  @Test func `a reload's redaction counts for the records after it`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open()
    _ = journal.submit(full(), durability: .none)
    journal.setRedaction(.address)
    _ = journal.submit(full(), durability: .none)
    journal.setRedaction([])
    _ = journal.submit(full(), durability: .none)
    journal.stop()
    let records = try scratch.records()
    #expect(records.map { $0.operands?.address == nil } == [false, true, false])
    #expect(records[1].operands?.length == 2 && records[1].redacted == .address)
  }

  @Test func `every word of a policy is one field's, and has a bit of its own`() {
    let fields = Redaction.allNames.compactMap { Redaction(name: $0) }
    #expect(fields.count == 6 && Set(fields.map(\.rawValue)).count == 6)
    #expect(zip(Redaction.allNames, fields).allSatisfy { $1.names == [$0] })
    #expect(Redaction(name: "pid") == nil)
  }
}

import Authority
import Foundation
import Instructions
import TestSupport
import Testing

@testable import Audit

@Suite struct RenderingTests {
  private func object(_ record: AuditRecord) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(record.json.utf8)) as? [String: Any])
  }

  @Test func `a record's JSON line has the keys of the contract`() throws {
    var record = AuditRecord(
      refusal: Refusal(.expired, message: "ask again"), time: AuditTime(wall: 1_700_000_000_123_456_789, boottime: 5),
      boot: boot)
    record.sequence = 42
    record.path = .mediated
    record.operation = .read
    record.object = "scratch"
    record.application = "reader"
    record.pid = 10
    record.uid = 1000
    record.executablePath = "/usr/bin/reader"
    #expect(
      record.json
        == #"{"sequence":42,"time":"2023-11-14T22:13:20.123456789Z","kind":"refusal","reason":"expired","#
        + #""errno":"EKEYEXPIRED","path":"mediated","operation":"read","object":"scratch","application":"reader","#
        + #""pid":10,"uid":1000,"executable":"/usr/bin/reader","message":"ask again","boottime":5,"#
        + #""boot":"01234567-89ab-cdef-fedc-ba9876543210"}"#)
  }

  @Test func `the keys of the contract are there when the record has nothing for them`() throws {
    let found = try object(AuditRecord(.start, time: clock(), boot: boot))
    for key in [
      "sequence", "time", "kind", "reason", "errno", "path", "operation", "object", "application", "pid", "uid",
      "executable",
    ] { #expect(found[key] != nil, "\(key)") }
    #expect(found["reason"] is NSNull)
  }

  @Test func `any record is one line of valid JSON that leaves a terminal alone`() throws {
    var generator = SplitMix(state: UInt64.random(in: 0...UInt64.max))
    let seed = generator.state
    for _ in 0..<500 {
      let record = AuditRecord.random(&generator)
      #expect(throws: Never.self, "seed \(seed)") { try object(record) }
      for text in [record.json] + record.tableRow {
        #expect(!text.unicodeScalars.contains { $0.actsOnTerminals }, "seed \(seed)")
      }
    }
  }

  @Test func `a hostile name is escaped in JSON and its bytes are there`() throws {
    var record = refusal(ByteString(bytes: Array("a\u{1B}[2J\"\\\n\u{202E}é".utf8) + [0xFF, 0x00]))
    record.sequence = 1
    let found = try object(record)
    #expect(found["object"] as? String == "a\u{1B}[2J\"\\\n\u{202E}é\u{FFFD}\u{0}")
    #expect(found["objectHex"] as? String == "611b5b324a225c0ae280aec3a9ff00")
    #expect(record.json.contains(#""a\u001b[2J\"\\\u000a\u202eé"#))
  }

  @Test func `a hostile name is escaped in a table, and its escapes cannot be imitated`() {
    let name = ByteString(bytes: Array("a\u{1B}[2J\n\\x1b\u{85}é".utf8) + [0xFF])
    #expect(name.escaped == #"a\x1b[2J\x0a\\x1b\u{85}é\xff"#)
    #expect(refusal(name).tableRow.contains { $0.contains(name.escaped) })
  }

  @Test func `a table row says who did what and why it was refused`() {
    var record = refusal("scratch", .limit)
    record.sequence = 7
    record.application = "reader"
    record.pid = 12
    record.uid = 1000
    record.operation = .read
    record.operands = Operands(offset: 4096, length: 512)
    #expect(
      record.tableRow == [
        "7", "1970-01-01T00:00:00.000000001Z", "refused", "reader pid 12 uid 1000", "read scratch 512@4096",
        "limit EPERM",
      ])
    #expect(AuditRecord.tableHead.count == record.tableRow.count)
  }

  @Test func `a gap and a repair are rendered with their figures`() throws {
    let gap = Gap(first: 3, last: 9, counts: [Gap.Count(reason: .quota, count: 6), Gap.Count(reason: nil, count: 1)])
    let record = AuditRecord(gap: gap, time: clock(), boot: boot)
    #expect(record.json.contains(#""gap":{"first":3,"last":9,"counts":{"quota":6,"none":1}}"#))
    var repaired = AuditRecord(.repair, time: clock(), boot: boot)
    repaired.repair = Repair(segment: 1, offset: 64, lost: 12)
    #expect(repaired.json.contains(#""repair":{"segment":1,"offset":64,"lost":12}"#))
    #expect(repaired.tableRow.contains { $0.contains("12 bytes cut at 64") })
  }

  @Test func `what cannot be read has a JSON line and a table row of its own`() {
    let item = JournalItem.damaged(segment: 1, offset: 2, length: 3)
    #expect(item.json == #"{"kind":"damaged","segment":1,"offset":2,"length":3}"#)
    #expect(item.tableRow.count == AuditRecord.tableHead.count)
    #expect(JournalItem.unknown(sequence: 4, .unknownKind(9)).json.contains("unknownKind(9)"))
  }

  @Test func `addresses are rendered with their ports`() {
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    bytes[0] = 127
    bytes[3] = 1
    #expect(NetworkAddress(family: .ipv4, bytes: bytes, port: 80).text == "127.0.0.1:80")
    #expect(NetworkAddress(family: .ipv6, bytes: bytes, port: 1).text == "[7f00:1:0:0:0:0:0:0]:1")
  }

  @Test func `the date of every day until 2400 is that of counting day by day`() {
    var year: UInt64 = 1970
    var month: UInt64 = 1
    var day: UInt64 = 1
    for days in 0..<157_000 as Range<UInt64> {
      let seconds = days * 86400 + days % 86400
      let time = CivilTime(wall: seconds * 1_000_000_000 + days)
      let isRight =
        time.year == year && time.month == month && time.day == day && time.nanosecond == days
        && time.hour * 3600 + time.minute * 60 + time.second == days % 86400
      // Asked only where it fails: a hundred thousand expectations take minutes.
      if !isRight { Issue.record("day \(days): \(time.text)") }
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      let lengths: [UInt64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
      day += 1
      if day > lengths[Int(month) - 1] {
        day = 1
        month += 1
      }
      if month > 12 {
        month = 1
        year += 1
      }
    }
    #expect(year == 2399)
  }

  @Test func `the writer puts commas between values and nowhere else`() {
    var writer = JSONWriter()
    writer.beginArray()
    writer.beginObject()
    writer.endObject()
    writer.beginObject()
    writer.field("a", 1)
    writer.key("b")
    writer.beginArray()
    writer.endArray()
    writer.field("c", true)
    writer.field("d", String?.none)
    writer.endObject()
    writer.number(-3)
    writer.endArray()
    #expect(writer.text == #"[{},{"a":1,"b":[],"c":true,"d":null},-3]"#)
  }
}

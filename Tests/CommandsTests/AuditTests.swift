import Audit
import Foundation
import Instructions
import Testing
import Wire

@testable import PosternCommands

/// A journal of so many refusals, odd ones for `limit`, served in pages of three.
private func journal(_ count: UInt64, admin: Bool = true) throws -> FakeBroker {
  let rows = (0..<count).map { index -> AuditRow in
    let sequence = index + 1
    var record = AuditRecord(
      refusal: Refusal(sequence.isMultiple(of: 2) ? .operation : .limit),
      time: AuditTime(wall: 1_700_000_000_000_000_000 + sequence * 1_000_000_000, boottime: sequence),
      boot: BootID(high: 1, low: 2))
    record.sequence = sequence
    record.object = "scratch"
    record.application = "shop\u{1B}[31m"
    record.pid = 77
    record.uid = 1000
    record.operation = .read
    record.path = .mediated
    return AuditRow(bytes: record.encoded)
  }
  return try FakeBroker(admin: admin) { request in
    guard case .auditRead(let read) = request else { return [] }
    var part: ArraySlice<AuditRow>
    switch read.mode {
    case .after: part = rows.dropFirst(Int(read.after)).prefix(3)
    case .newest: part = rows.suffix(Int(read.limit))
    case .follow:
      // The end of the test: the broker goes away.
      part = rows.dropFirst(Int(read.after))
      if part.isEmpty { return [] }
    }
    var page = Page<AuditRow>(next: part.isEmpty ? read.after : UInt64(part.endIndex))
    for row in part { _ = try? page.append(row) }
    return [.records(page)]
  }
}

extension RecordedSurroundings {
  /// The output as JSON lines.
  fileprivate func lines() throws -> [[String: Any]] {
    try printed.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }
}

@Suite struct AuditTests {
  @Test func `the whole journal is listed, oldest first, one JSON object a line`() throws {
    let broker = try journal(10)
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("audit", "list", "--format", "json", "--socket", broker.path) == .done)
    let lines = try surroundings.lines()
    #expect(lines.map { $0["sequence"] as? Int } == Array(1...10))
    let first = try #require(lines.first)
    #expect(first["time"] as? String == "2023-11-14T22:13:21.000000000Z")
    #expect(first["kind"] as? String == "refusal")
    #expect(first["reason"] as? String == "limit")
    #expect(first["errno"] as? String == "EPERM")
    #expect(first["path"] as? String == "mediated")
    #expect(first["operation"] as? String == "read")
    #expect(first["object"] as? String == "scratch")
    #expect(first["application"] as? String == "shop\u{1B}[31m")
    #expect(first["pid"] as? Int == 77)
    #expect(first["uid"] as? Int == 1000)
    #expect(first.keys.contains("executable"))
    #expect(!surroundings.output.contains(0x1B))
  }

  @Test func `the newest are the newest, as one user of another tool did not get them`() throws {
    let broker = try journal(100)
    let surroundings = RecordedSurroundings()
    surroundings.run("audit", "list", "--newest", "5", "--format", "json", "--socket", broker.path)
    #expect(try surroundings.lines().map { $0["sequence"] as? Int } == Array(96...100))
  }

  @Test func `the newest that match a filter are looked for in the whole journal`() throws {
    let broker = try journal(20)
    let surroundings = RecordedSurroundings()
    surroundings.run(
      "audit", "list", "--newest", "3", "--reason", "limit", "--format", "json", "--socket", broker.path)
    #expect(try surroundings.lines().map { $0["sequence"] as? Int } == [15, 17, 19])
  }

  @Test func `since is inclusive and until is exclusive`() throws {
    let broker = try journal(20)
    let surroundings = RecordedSurroundings()
    surroundings.run(
      "audit", "list", "--since", "2023-11-14T22:13:25Z", "--until", "2023-11-14T22:13:28Z", "--format", "json",
      "--socket", broker.path)
    #expect(try surroundings.lines().map { $0["sequence"] as? Int } == [5, 6, 7])
  }

  @Test func `no match is said, and is no error`() throws {
    let broker = try journal(5)
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("audit", "list", "--object", "other", "--socket", broker.path) == .done)
    #expect(surroundings.output == [])
    #expect(surroundings.complained.contains("no records match"))
  }

  @Test func `an empty journal says whose records would be shown`() throws {
    let broker = try journal(0, admin: false)
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("audit", "list", "--socket", broker.path) == .done)
    #expect(surroundings.complained.contains("your own uid"))
  }

  @Test func `the table is aligned and obeys no control character`() throws {
    let broker = try journal(10)
    let surroundings = RecordedSurroundings()
    surroundings.run("audit", "list", "--socket", broker.path)
    let lines = surroundings.printed.split(separator: "\n")
    #expect(lines.count == 11)
    #expect(lines[1].hasPrefix("       1  2023-11-14T22:13:21Z  refused"))
    #expect(!surroundings.output.contains(0x1B))
  }

  @Test func `follow begins at the end, or with the newest that were asked for`() throws {
    let broker = try journal(10)
    let silent = RecordedSurroundings()
    #expect(silent.run("audit", "follow", "--format", "json", "--socket", broker.path) == .unreachable)
    #expect(silent.output == [])
    let surroundings = RecordedSurroundings()
    surroundings.run("audit", "follow", "--newest", "2", "--format", "json", "--socket", broker.path)
    #expect(try surroundings.lines().map { $0["sequence"] as? Int } == [9, 10])
  }

  @Test func `a record that cannot be read is said and exits 70, the others are shown`() throws {
    let broker = try FakeBroker { request in
      guard case .auditRead(let read) = request else { return [] }
      var page = Page<AuditRow>(next: 1)
      if read.after == 0 { _ = try? page.append(AuditRow(bytes: [1, 2, 3])) }
      return [.records(page)]
    }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("audit", "list", "--socket", broker.path) == .bug)
    #expect(surroundings.complained.contains("cannot be read"))
  }
}

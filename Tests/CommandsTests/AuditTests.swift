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

  @Test func `the newest are looked for at the end, not from the first record on`() throws {
    let broker = try journal(20_000)
    for words in [
      ["--newest", "50"], ["--newest", "50", "--reason", "limit"], ["--newest", "1000", "--operation", "read"],
    ] {
      let surroundings = RecordedSurroundings()
      _ = Invocation.run(["audit", "list", "--format", "json", "--socket", broker.path] + words, in: surroundings)
      let numbers = try surroundings.lines().compactMap { $0["sequence"] as? Int }
      let isOdd = words.contains("--reason")
      #expect(
        numbers == Array((isOdd ? (1...10_000).map { 2 * $0 - 1 } : Array(1...20_000)).suffix(Int(words[1]) ?? 0)))
    }
    let least = broker.requests.compactMap {
      if case .auditRead(let read) = $0, read.mode == .after { read.after } else { nil }
    }
    #expect(try #require(least.min()) > 15_000)
  }

  @Test func `the newest are found across what is looked at piece by piece, each once`() throws {
    let broker = try journal(9000)
    let surroundings = RecordedSurroundings()
    surroundings.run(
      "audit", "list", "--newest", "4000", "--reason", "limit", "--format", "json", "--socket", broker.path)
    #expect(try surroundings.lines().map { $0["sequence"] as? Int } == (501...4500).map { 2 * $0 - 1 })
  }

  @Test func `a table's rows go out page by page`() throws {
    let broker = try journal(300)
    let surroundings = RecordedSurroundings()
    surroundings.readerTakes = 0
    surroundings.run("audit", "list", "--socket", broker.path)
    // Nobody reads: of a hundred pages one was asked for, behind the question where the journal ends.
    #expect(broker.requests.count { $0.kind == .auditRead } == 2)
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
    #expect(surroundings.complained.contains("no record at all has --object other"))
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

  @Test func `each filter is asked of the records`() throws {
    let broker = try journal(10)
    for (words, count) in [
      (["--verdict", "refused"], 10), (["--verdict", "allowed"], 0), (["--kind", "refusal"], 10),
      (["--user", "1000"], 10),
      (["--user", "root"], 0), (["--pid", "77"], 10), (["--path", "mediated"], 10), (["--path", "direct"], 0),
      (["--operation", "read"], 10), (["--operation", "write"], 0), (["--executable", "cat"], 0),
      (["--reason", "limit", "--object", "scratch"], 5),
    ] {
      let surroundings = RecordedSurroundings()
      _ = Invocation.run(["audit", "list", "--format", "json", "--socket", broker.path] + words, in: surroundings)
      #expect(try surroundings.lines().count == count, "\(words)")
      #expect(surroundings.complained.contains("none of 10 records matches") == (count == 0))
    }
  }

  @Test func `list with follow goes on where it ended`() throws {
    let broker = try journal(4)
    let surroundings = RecordedSurroundings()
    // The end of the test: the broker goes away.
    #expect(
      surroundings.run("audit", "list", "--follow", "--format", "json", "--socket", broker.path) == .unreachable)
    #expect(try surroundings.lines().map { $0["sequence"] as? Int } == [1, 2, 3, 4])
  }

  @Test func `stats counts, with first and last seen and a drawing`() throws {
    let broker = try journal(10)
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("audit", "stats", "--by", "reason,application", "--socket", broker.path) == .done)
    let lines = surroundings.printed.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines[0].hasPrefix("1 ██████████"))
    #expect(lines[5].contains("2023-11-14T22:13:21Z … 2023-11-14T22:13:30Z, 1 s a bar"))
    #expect(lines[7] == "REASON     APPLICATION   COUNT  FIRST SEEN            LAST SEEN")
    #expect(lines[8] == "limit      shop\\x1b[31m      5  2023-11-14T22:13:21Z  2023-11-14T22:13:29Z")
    #expect(!surroundings.output.contains(0x1B))
    let json = RecordedSurroundings()
    json.run("audit", "stats", "--by", "reason", "--top", "1", "--format", "json", "--socket", broker.path)
    let object = try #require(try json.lines().first)
    #expect(object["records"] as? Int == 10)
    #expect(object["groupCount"] as? Int == 2)
    #expect((object["groups"] as? [[String: Any]])?.first?["count"] as? Int == 5)
  }

  @Test func `why retells a record without the policy, and says that it could not ask it`() throws {
    let broker = try journal(10)
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("audit", "why", "3", "--socket", broker.path) == .done)
    let text = surroundings.printed
    #expect(text.hasPrefix("record  3, 2023-11-14T22:13:23.000000000Z: refusal, limit, EPERM\n"))
    #expect(text.contains("\nwhy     limit: an operand is outside the limits"))
    #expect(text.contains("\nbefore  1  2023-11-14"))
    #expect(text.contains("\nnow     unknown: "))
    let none = RecordedSurroundings()
    #expect(none.run("audit", "why", "11", "--socket", broker.path) == .denied)
    #expect(none.complained.contains("there is no record 11"))
  }

  @Test func `export writes a line a record in each format`() throws {
    let broker = try journal(3)
    for (format, start, lines) in [
      ("jsonl", "{\"sequence\":1,", 3), ("csv", "sequence,time,", 4), ("cef", "CEF:0|Postern|posternd|", 3),
      ("audit", "type=USER_AVC msg=audit(1700000001.000:1): ", 3),
    ] {
      let surroundings = RecordedSurroundings()
      #expect(surroundings.run("audit", "export", "--format", format, "--socket", broker.path) == .done)
      #expect(surroundings.printed.hasPrefix(start), "\(surroundings.printed)")
      #expect(surroundings.printed.unicodeScalars.count { $0 == "\n" } == lines)
      #expect(!surroundings.output.contains(0x1B))
    }
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

import Authority
import Foundation
import Instructions
import Linux
import TestSupport
import Testing

@testable import Audit

/// Sinks beside the journal, each fed to a socket or a file that the test made.
@Suite struct SinkTests {
  private func feed(_ sink: SinkTarget, _ scratch: Scratch, _ journal: Journal) throws -> SinkFeed {
    try SinkFeed(
      sink, directory: scratch.path, source: journal.source, after: 0,
      endpoints: SinkEndpoints(journald: "\(scratch.path)/journald", syslog: "\(scratch.path)/syslog"))
  }

  private func hostile() -> AuditRecord {
    var record = refusal(ByteString(bytes: Array("a\nMESSAGE=forged\n\u{1B}[2J".utf8) + [0xFF]))
    record.application = "shop"
    record.pid = 7
    record.uid = 33
    record.operation = .read
    return record
  }

  @Test func `journald gets every record by its native protocol, and a name with a newline makes no field`() throws {
    let scratch = try Scratch()
    let daemon = try LogDaemon("\(scratch.path)/journald")
    let journal = try scratch.open()
    let feed = try feed(.records(.journald), scratch, journal)
    _ = journal.submit(hostile(), durability: .none)
    _ = journal.submit(AuditRecord(.grant, time: clock(), boot: boot), durability: .none)
    #expect(eventually { journal.counters.durable == 2 })
    feed.wake(journal.counters, checkpoint: nil)
    let fields = try #require(daemon.receive().flatMap { Self.fields($0) })
    func text(_ name: String) -> String? { fields[name].map { String(decoding: $0, as: UTF8.self) } }
    #expect(text("MESSAGE")?.hasPrefix("refused read a\\x0aMESSAGE=forged\\x0a\\x1b[2J\\xff limit EPERM") == true)
    #expect(text("PRIORITY") == "4" && text("SYSLOG_IDENTIFIER") == "postern" && text("SYSLOG_FACILITY") == "10")
    #expect(text("POSTERN_SEQUENCE") == "1" && text("POSTERN_SOURCE") == journal.source.text)
    #expect(text("POSTERN_REASON") == "limit" && text("POSTERN_ERRNO") == "EPERM" && text("POSTERN_KIND") == "refusal")
    #expect(text("POSTERN_UID") == "33" && text("POSTERN_PID") == "7" && text("POSTERN_APPLICATION") == "shop")
    #expect(fields["POSTERN_OBJECT"] == hostile().object?.bytes)
    #expect(text("POSTERN_RECORD")?.hasPrefix("{\"sequence\":1,") == true)
    let second = try #require(daemon.receive().flatMap { Self.fields($0) })
    #expect(second["POSTERN_SEQUENCE"] == Array("2".utf8) && second["PRIORITY"] == Array("6".utf8))
    feed.stop()
    journal.stop()
    #expect(feed.counters == SinkCounters(delivered: 2))
  }

  @Test func `syslog gets one line for each record, and a name with a newline begins none`() throws {
    let scratch = try Scratch()
    let daemon = try LogDaemon("\(scratch.path)/syslog")
    let journal = try scratch.open()
    let feed = try feed(.records(.syslog), scratch, journal)
    _ = journal.submit(hostile(), durability: .none)
    #expect(eventually { journal.counters.durable == 1 })
    feed.wake(journal.counters, checkpoint: nil)
    let message = String(decoding: try #require(daemon.receive()), as: UTF8.self)
    // 10 * 8 + 4: authpriv.warning; then the local time as syslog(3) writes it.
    let pattern =
      #/<84>[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} postern\[[0-9]+\]: refused read a\\x0aMESSAGE=forged.*/#
    #expect(try pattern.wholeMatch(in: message) != nil, "\(message)")
    #expect(message.hasSuffix(" #1 journal \(journal.source.text)"))
    feed.stop()
    journal.stop()
  }

  @Test func `a file gets JSON lines, and checkpoints that verifying takes`() throws {
    let scratch = try Scratch()
    let elsewhere = try Scratch()
    let journal = try scratch.open(change: { $0.checkpointInterval = 1 })
    let target = SinkTarget.records(.file(path: "\(elsewhere.path)/log"))
    let file = try feed(target, scratch, journal)
    let copies = try feed(.checkpoints(directory: elsewhere.path), scratch, journal)
    for _ in 0..<1000 { _ = journal.submit(hostile(), durability: .none) }
    journal.stop()
    for feed in [file, copies] {
      feed.wake(journal.counters, checkpoint: journal.checkpoint)
      feed.stop()
      #expect(feed.counters == SinkCounters(delivered: 1000))
    }
    let lines = String(decoding: try elsewhere.bytes("log"), as: UTF8.self).split(separator: "\n")
    #expect(lines.prefix(1000).map(String.init) == (try scratch.records().map(\.json)))
    let checkpoint = try #require(journal.checkpoint)
    #expect(lines.count == 1001 && Checkpoint.all(in: String(lines[1000])) == [checkpoint])
    let copied = try elsewhere.bytes("postern-\(journal.source.text).checkpoints")
    #expect(Checkpoint.all(in: String(decoding: copied, as: UTF8.self)) == [checkpoint])
    #expect(checkpoint.isSigned && checkpoint.position.sequence == 1000)
  }

  @Test func `a daemon that is away is waited for, gets everything later, and holds nobody up`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open()
    let feed = try feed(.records(.journald), scratch, journal)
    for _ in 0..<50 { _ = journal.submit(refusal(), durability: .none) }
    #expect(eventually { journal.counters.durable == 50 })
    feed.wake(journal.counters, checkpoint: nil)
    #expect(eventually { feed.counters.failing == ENOENT })
    #expect(feed.counters.delivered == 0)
    let daemon = try LogDaemon("\(scratch.path)/journald")
    var numbers: [String] = []
    for _ in 0..<50 {
      guard let fields = daemon.receive().flatMap({ Self.fields($0) }) else { break }
      numbers.append(String(decoding: fields["POSTERN_SEQUENCE"] ?? [], as: UTF8.self))
    }
    #expect(numbers == (1...50).map(String.init))
    #expect(eventually { feed.counters == SinkCounters(delivered: 50) })
    feed.stop()
    journal.stop()
  }

  @Test func `what was removed or damaged before a sink had it is counted`() throws {
    let scratch = try Scratch()
    let elsewhere = try Scratch()
    let journal = try scratch.open(change: { $0.segmentSize = 1000 })
    for _ in 0..<50 { _ = journal.submit(refusal(), durability: .none) }
    journal.stop()
    let names = try scratch.segments()
    for name in names[1...3] { try FileManager.default.removeItem(atPath: "\(scratch.path)/\(name)") }
    var bytes = try scratch.bytes(names[5])
    bytes[SegmentHeader.length + 20] ^= 1
    try scratch.put(bytes, names[5])
    let kept = try scratch.records().count
    #expect(kept < 47)
    let feed = try feed(.records(.file(path: "\(elsewhere.path)/log")), scratch, journal)
    feed.wake(journal.counters, checkpoint: nil)
    feed.stop()
    #expect(feed.counters.delivered == 50 && feed.counters.lost == 0)
    #expect(feed.counters.missed == UInt64(50 - kept))
  }

  @Test func `while a segment cannot be opened a file has what is before it, and then the rest, each once`() throws {
    let scratch = try Scratch()
    let elsewhere = try Scratch()
    let journal = try scratch.open(change: { $0.segmentSize = 1000 })
    for _ in 0..<50 { _ = journal.submit(refusal(), durability: .none) }
    journal.stop()
    let all = try scratch.records()
    let name = try #require(try scratch.segments().dropFirst(3).first)
    let before = all.prefix { $0.sequence < SegmentName.first(name) ?? 0 }
    // A journal's files are not opened through a link (ELOOP).
    let (path, away) = ("\(scratch.path)/\(name)", "\(elsewhere.path)/away")
    try FileManager.default.moveItem(atPath: path, toPath: away)
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: away)
    let feed = try feed(.records(.file(path: "\(elsewhere.path)/log")), scratch, journal)
    feed.wake(journal.counters, checkpoint: nil)
    #expect(eventually { feed.counters.failing == ELOOP })
    func lines() throws -> [String] {
      String(decoding: try elsewhere.bytes("log"), as: UTF8.self).split(separator: "\n").map(String.init)
    }
    #expect(try lines() == before.map(\.json))
    #expect(feed.counters.delivered == UInt64(before.count))
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: away, toPath: path)
    #expect(eventually { feed.counters == SinkCounters(delivered: 50) })
    feed.stop()
    #expect(try lines() == all.map(\.json))
  }

  @Test func `what a failed sync withdrew is sent to nobody`() throws {
    let scratch = try Scratch()
    let elsewhere = try Scratch()
    let faults = Faults()
    let completions = try Completions()
    let journal = try scratch.open(fault: { faults.check($0) }, onDurable: { _ in completions.wake() })
    let feed = try feed(.records(.file(path: "\(elsewhere.path)/log")), scratch, journal)
    _ = journal.submit(refusal("first"), durability: .required(token: 1))
    #expect(completions.wait(1, journal).count == 1)
    feed.wake(journal.counters, checkpoint: nil)
    faults.set(.truncate, EIO)
    faults.set(.synchronize, EIO)
    _ = journal.submit(AuditRecord(.grant, time: clock(), boot: boot), durability: .required(token: 2))
    #expect(completions.wait(2, journal).last?.outcome == .failed(errno: EIO))
    feed.wake(journal.counters, checkpoint: nil)
    faults.set(.synchronize, nil)
    faults.set(.truncate, nil)
    #expect(eventually { journal.counters.failing == nil })
    journal.stop()
    feed.wake(journal.counters, checkpoint: nil)
    feed.stop()
    let text = String(decoding: try elsewhere.bytes("log"), as: UTF8.self)
    #expect(text.split(separator: "\n").map(String.init) == (try scratch.records().map(\.json)))
    #expect(!text.contains("\"grant\""))
  }

  @Test func `a link in the place of a sink's file is not followed, and nothing is written to a device`() throws {
    let scratch = try Scratch()
    try FileManager.default.createSymbolicLink(
      atPath: "\(scratch.path)/link", withDestinationPath: "\(scratch.path)/target")
    #expect(throws: SystemError.self) { _ = try AppendFile("\(scratch.path)/link") }
    #expect(throws: SystemError.self) { _ = try AppendFile("/dev/null") }
    #expect(!FileManager.default.fileExists(atPath: "\(scratch.path)/target"))
  }

  /// A message of the native protocol, taken apart; nil: it is none.
  private static func fields(_ message: [UInt8]) -> [String: [UInt8]]? {
    var fields: [String: [UInt8]] = [:]
    var rest = message[...]
    while let end = rest.firstIndex(of: 0x0A) {
      let line = rest[..<end]
      if let equals = line.firstIndex(of: UInt8(ascii: "=")) {
        let name = String(decoding: line[..<equals], as: UTF8.self)
        guard fields.updateValue(Array(line[(equals + 1)...]), forKey: name) == nil else { return nil }
        rest = rest[(end + 1)...]
      } else {
        guard rest.endIndex - end > 9 else { return nil }
        let length = Int(littleEndian64(message.span, at: end + 1))
        let start = end + 9
        guard start + length < rest.endIndex, rest[start + length] == 0x0A else { return nil }
        fields[String(decoding: line, as: UTF8.self)] = Array(rest[start..<start + length])
        rest = rest[(start + length + 1)...]
      }
    }
    return rest.isEmpty ? fields : nil
  }
}

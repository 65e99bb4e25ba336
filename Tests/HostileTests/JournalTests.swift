import Audit
import Authority
import Foundation
import Instructions
import Linux
import Testing
import Wire

/// What everybody may ask of the journal, on the thread that also checks every operation.
@Suite(.serialized, .enabled(if: Tier.root, "who reads how much is root's to see")) struct JournalTests {
  private static let count: UInt64 = 800

  /// A broker whose journal has 12 MiB.
  ///
  /// - Parameter damage: gets the segments, oldest first, before the broker opens them.
  private func run(
    segmentSize: UInt64 = 64 << 20, damage: ([URL]) throws -> Void = { _ in }, _ body: (Target) throws -> Void
  ) throws {
    try Target.run { target in
      target.stop()
      let journal = try Journal(
        JournalConfiguration(directory: target.state, boot: BootID(high: 1, low: 2), segmentSize: segmentSize),
        // Of now, so that the broker's retention leaves them alone.
        now: { AuditTime(wall: Clock.wall(), boottime: 2) }, onDurable: { _ in })
      for _ in 0..<Self.count {
        var record = AuditRecord(
          refusal: Refusal(.limit), time: AuditTime(wall: 1, boottime: 2), boot: BootID(high: 1, low: 2))
        let text = ByteString(String(repeating: "x", count: AuditRecord.maximumTextLength))
        (record.executablePath, record.cgroup, record.message, record.grant) = (text, text, text, text)
        // Nobody's: whoever asks is shown none of them.
        record.uid = 4711
        while journal.counters.waiting > 200 { usleep(1000) }
        _ = journal.submit(record, durability: .none)
      }
      journal.stop()
      let files = try FileManager.default.contentsOfDirectory(
        at: URL(filePath: target.state), includingPropertiesForKeys: nil)
      try damage(
        files.filter { $0.pathExtension == "pj" }.sorted { $0.lastPathComponent < $1.lastPathComponent })
      try target.start()
      try body(target)
    }
  }

  @Test func `a request for any place in the journal reads little of it, wherever that is`() throws {
    try run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      var places: [UInt64] = []
      for step in 1...20 as ClosedRange<UInt64> { places += [Self.count - step, step, UInt64.max - step] }
      for after in places {
        let before = target.bytesRead
        let reply = try attacker.ask(.auditRead(AuditRead(after: after)), on: socket)
        guard case .records = reply else {
          Issue.record("\(reply)")
          return
        }
        #expect(target.bytesRead - before < 1 << 20, "after \(after)")
      }
    }
  }

  @Test func `what is passed over counts, and the answer leads on`() throws {
    try run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      // Behind what those who were served before have of their own.
      var after: UInt64 = 30
      var requests = 0
      while after < Self.count {
        let before = target.bytesRead
        guard case .records(let page) = try attacker.ask(.auditRead(AuditRead(after: after)), on: socket),
          page.rows.isEmpty, page.next > after
        else {
          Issue.record("it does not lead on behind \(after)")
          return
        }
        #expect(target.bytesRead - before < 1 << 20, "after \(after)")
        after = page.next
        requests += 1
      }
      #expect(requests > 12)
      let before = target.bytesRead
      _ = try attacker.ask(.auditRead(AuditRead(mode: .newest, limit: .max)), on: socket)
      #expect(target.bytesRead - before < 1 << 20)
    }
  }

  /// Puts zeros over a part of a file.
  private static func clear(_ file: URL, _ range: Range<Int>) throws {
    let handle = try FileHandle(forUpdating: file)
    try handle.seek(toOffset: UInt64(range.lowerBound))
    try handle.write(contentsOf: Data(count: range.count))
    try handle.close()
  }

  @Test func `a request goes over damage in one segment at most, and the answer leads behind it`() throws {
    let size = 1 << 20
    try run(
      segmentSize: UInt64(size),
      damage: { segments in
        try #require(segments.count > 10)
        try Self.clear(segments[0], size / 4..<size / 2)
        // A head, and no record behind it up to the segment's end.
        for segment in segments[1..<10] { try Self.clear(segment, 128..<Data(contentsOf: segment).count) }
      },
      { target in
        let attacker = try target.hostile()
        let socket = try attacker.connection()
        var after: UInt64 = 0
        var requests = 0
        while after < Self.count {
          // Each on a place of its own, as if nobody had read up to there.
          let other = try attacker.connection()
          for socket in [socket, other] {
            let before = target.bytesRead
            guard case .records(let page) = try attacker.ask(.auditRead(AuditRead(after: after)), on: socket),
              page.next > after
            else {
              Issue.record("it does not lead on behind \(after)")
              return
            }
            #expect(target.bytesRead - before < 2 * size, "after \(after)")
            if socket == other { after = page.next }
          }
          requests += 1
        }
        #expect(requests > 10)
        // Within damage that somebody has asked for before.
        for after in stride(from: 70, to: 600 as UInt64, by: 13) {
          let before = target.bytesRead
          _ = try attacker.ask(.auditRead(AuditRead(after: after)), on: socket)
          #expect(target.bytesRead - before < size / 2, "after \(after)")
        }
      })
  }
}

extension Target {
  /// What the broker has had read to it since it began (proc_pid_io(5)).
  fileprivate var bytesRead: Int {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/io", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("rchar:") } ?? ""
    return Int(line.filter(\.isNumber)) ?? 0
  }
}

import Audit
import Authority
import Foundation
import Instructions
import Testing
import Wire

/// What everybody may ask of the journal, on the thread that also checks every operation.
@Suite(.serialized, .enabled(if: Tier.root, "who reads how much is root's to see")) struct JournalTests {
  private static let count: UInt64 = 800

  /// A broker whose journal has one segment of 12 MiB.
  private func run(_ body: (Target) throws -> Void) throws {
    try Target.run { target in
      target.stop()
      let journal = try Journal(
        JournalConfiguration(directory: target.state, boot: BootID(high: 1, low: 2)),
        now: { AuditTime(wall: 1, boottime: 2) }, onDurable: { _ in })
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
}

extension Target {
  /// What the broker has had read to it since it began (proc_pid_io(5)).
  fileprivate var bytesRead: Int {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/io", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("rchar:") } ?? ""
    return Int(line.filter(\.isNumber)) ?? 0
  }
}

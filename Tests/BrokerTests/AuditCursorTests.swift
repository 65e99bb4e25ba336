import Audit
import Foundation
import Linux
import Synchronization
import Testing

@testable import Audit
@testable import Broker

/// A connection's reading of the journal, page by page, while records are taken back.
@Suite struct AuditCursorTests {
  /// What a follower is sent, who has asked before a grant's record could not be made durable.
  ///
  /// - Parameter isBounded: false: as if everything in the files were on disk.
  private func followed(isBounded: Bool) throws -> (sent: [AuditRecord], kept: [AuditRecord]) {
    let path = NSTemporaryDirectory() + "postern-cursor-\(UInt64.random(in: 0...UInt64.max))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let isFailing = Mutex(false)
    let journal = try Journal(
      JournalConfiguration(directory: path, boot: BootID(high: 1, low: 2), syncInterval: 5, retryInterval: 2),
      fault: { step in
        let isFaulty = step == .synchronize || step == .truncate
        return isFaulty && isFailing.withLock { $0 } ? ErrorCode.inputOutput : nil
      }, now: { AuditTime(wall: Clock.wall(), boottime: Clock.boottime()) }, onDurable: { _ in })
    func record(_ kind: AuditKind) -> AuditRecord {
      AuditRecord(kind, time: AuditTime(wall: 1, boottime: 2), boot: BootID(high: 1, low: 2))
    }
    func wait(_ condition: () -> Bool) {
      for _ in 0..<4000 where !condition() { Clock.sleep(nanoseconds: 5_000_000) }
      #expect(condition())
    }
    var cursor = AuditCursor(reader: try JournalReader(directory: path, from: 1))
    var sent: [AuditRecord] = []
    func page() throws {
      let durable = isBounded ? journal.counters.durable : .max
      while let item = try cursor.next(upTo: durable) { if case .record(let record) = item { sent.append(record) } }
    }
    _ = journal.submit(record(.refusal), durability: .required(token: 1))
    wait { journal.counters.durable == 1 }
    try page()
    isFailing.withLock { $0 = true }
    _ = journal.submit(record(.grant), durability: .required(token: 2))
    wait { journal.counters.failing != nil }
    try page()
    isFailing.withLock { $0 = false }
    _ = journal.submit(record(.refusal), durability: .required(token: 3))
    wait { journal.counters.failing == nil && journal.counters.durable == journal.last }
    try page()
    journal.stop()
    try page()
    var fresh = try JournalReader(directory: path)
    var kept: [AuditRecord] = []
    while case .record(let record)? = try fresh.next() { kept.append(record) }
    return (sent, kept)
  }

  @Test func `a follower is sent what the journal keeps, each record once`() throws {
    let (sent, kept) = try followed(isBounded: true)
    #expect(sent == kept && kept.count > 3)
    #expect(!sent.contains { $0.kind == .grant })
  }

  @Test func `one that is not told how far the disk is gets the grant that was withdrawn`() throws {
    let (sent, kept) = try followed(isBounded: false)
    #expect(sent.contains { $0.kind == .grant } && !kept.contains { $0.kind == .grant })
  }
}

import Glibc
import Instructions
import Synchronization
import Testing

@testable import Audit

/// A reader that lives longer than one pass, beside a writer that takes records back.
@Suite struct WithdrawalTests {
  /// What one reader meets, which passes to the end before the withdrawal, in its middle and after it.
  ///
  /// - Parameter isBounded: whether it is told how far the journal is on disk.
  private func kinds(isBounded: Bool, _ faulty: (Journal, Completions) throws -> Void, _ faults: Faults) throws
    -> [AuditKind]
  {
    let scratch = try Scratch()
    let completions = try Completions()
    let journal = try scratch.open(fault: { faults.check($0) }, onDurable: { _ in completions.wake() })
    var reader = try JournalReader(directory: scratch.path)
    var kinds: [AuditKind] = []
    func pass() throws {
      let durable = isBounded ? journal.counters.durable : .max
      while let item = try reader.next(upTo: durable) {
        guard case .record(let record) = item else {
          Issue.record("unreadable: \(item)")
          continue
        }
        kinds.append(record.kind)
      }
    }
    _ = journal.submit(refusal("first"), durability: .required(token: 1))
    #expect(completions.wait(1, journal).count == 1)
    try pass()
    faults.set(.truncate, EIO)
    faults.set(.synchronize, EIO)
    try faulty(journal, completions)
    try pass()
    faults.set(.synchronize, nil)
    faults.set(.truncate, nil)
    _ = journal.submit(refusal("last"), durability: .required(token: 3))
    #expect(eventually { journal.counters.failing == nil && journal.counters.durable == journal.last })
    try pass()
    journal.stop()
    try pass()
    #expect(
      try scratch.records().map(\.kind) == kinds || !isBounded, "a new reader and the one that has lived on agree")
    return kinds
  }

  private func withdraw(_ journal: Journal, _ completions: Completions) {
    _ = journal.submit(AuditRecord(.grant, time: clock(), boot: boot), durability: .required(token: 2))
    #expect(completions.wait(2, journal).last?.outcome == .failed(errno: EIO))
  }

  @Test func `a reader that lives on meets nothing that a failed sync withdrew`() throws {
    let kinds = try kinds(isBounded: true, withdraw, Faults())
    #expect(!kinds.contains(.grant) && kinds.contains(.gap) && kinds.contains(.repair))
  }

  @Test func `without the bound it meets the grant that never was`() throws {
    #expect(try kinds(isBounded: false, withdraw, Faults()).contains(.grant))
  }

  /// A reader that has the journal's first segment open when the writer removes it, since nothing of it reached the disk.
  private func replaced(isBounded: Bool) throws -> [AuditKind] {
    let scratch = try Scratch()
    let completions = try Completions()
    let gate = try Gate()
    let isFirst = Mutex(true)
    let journal = try scratch.open(
      fault: { step in
        guard step == .synchronize, isFirst.withLock({ $0 }) else { return nil }
        gate.pass()
        isFirst.withLock { $0 = false }
        return EIO
      }, onDurable: { _ in completions.wake() })
    _ = journal.submit(AuditRecord(.grant, time: clock(), boot: boot), durability: .required(token: 1))
    gate.waitUntilReached()
    var reader = try JournalReader(directory: scratch.path)
    var kinds: [AuditKind] = []
    func pass() throws {
      while case .record(let record)? = try reader.next(upTo: isBounded ? journal.counters.durable : .max) {
        kinds.append(record.kind)
      }
    }
    try pass()
    gate.release()
    #expect(completions.wait(1, journal).first?.outcome == .failed(errno: EIO))
    _ = journal.submit(refusal(), durability: .required(token: 2))
    #expect(completions.wait(2, journal).last?.outcome == .durable)
    try pass()
    journal.stop()
    try pass()
    return kinds
  }

  @Test func `a segment that was removed and made again is read anew`() throws {
    let kinds = try replaced(isBounded: true)
    #expect(kinds.contains(.refusal) && kinds.contains(.gap) && !kinds.contains(.grant), "\(kinds)")
  }

  @Test func `without the bound the reader stays in the removed segment`() throws {
    #expect(try replaced(isBounded: false) == [.grant])
  }

  @Test func `what is not on disk yet is read neither forward nor from the end, and later it is`() throws {
    let scratch = try Scratch()
    let gate = try Gate()
    let journal = try scratch.open(fault: { step in
      if step == .synchronize { gate.pass() }
      return nil
    })
    _ = journal.submit(refusal(), durability: .none)
    journal.hurry()
    gate.waitUntilReached()
    var reader = try JournalReader(directory: scratch.path)
    #expect(journal.counters.durable == 0)
    #expect(try reader.next(upTo: 0) == nil)
    #expect(try JournalReader.newest(9, directory: scratch.path, upTo: 0).isEmpty)
    // It does stand in the file.
    #expect(try JournalReader.newest(9, directory: scratch.path).count == 1)
    gate.release()
    #expect(eventually { journal.counters.durable == 1 })
    #expect(try reader.next(upTo: 1) != nil)
    #expect(try JournalReader.newest(9, directory: scratch.path, upTo: 1).count == 1)
    journal.stop()
  }

  @Test func `a hurried journal does not wait for the next sync that is due`() throws {
    let scratch = try Scratch()
    let gate = try Gate()
    let isArmed = Mutex(false)
    let journal = try scratch.open(
      fault: { step in
        if step == .synchronize, isArmed.withLock({ $0 }) { gate.pass() }
        return nil
      }, change: { $0.syncInterval = 3_600_000 })
    _ = journal.submit(refusal(), durability: .none)
    #expect(eventually { journal.counters.durable == 1 })
    // A new segment is a reason to look for old ones, which ends in a sync too.
    usleep(50_000)
    isArmed.withLock { $0 = true }
    _ = journal.submit(refusal(), durability: .none)
    gate.waitUntilReached()
    // Comes while the writer works, and is written by it behind the one before, without a sync.
    _ = journal.submit(refusal(), durability: .none)
    gate.release()
    #expect(eventually { journal.counters.waiting == 0 && journal.counters.durable == 2 })
    usleep(50_000)
    #expect(journal.counters.durable == 2)
    journal.hurry()
    #expect(eventually { journal.counters.durable == 3 })
    journal.stop()
  }
}

import Foundation
import Instructions
import Linux
import Synchronization
import TestSupport
import Testing

@testable import Audit

@Suite struct JournalTests {
  @Test func `what is submitted is read back in order with its numbers`() throws {
    let scratch = try Scratch()
    var generator = SplitMix(state: 9)
    let wanted = (0..<300).map { _ in
      var record = AuditRecord.random(&generator)
      record.gap = nil
      return record
    }
    try scratch.write(wanted)
    let found = try scratch.records()
    #expect(found.map(\.sequence) == Array(1...300))
    #expect(
      found.map {
        var plain = $0
        plain.sequence = 0
        return plain
      } == wanted)
  }

  @Test func `numbers go on behind the last one after a restart`() throws {
    let scratch = try Scratch()
    for _ in 0..<3 { try scratch.write([refusal(), refusal()]) }
    #expect(try scratch.records().map(\.sequence) == Array(1...6))
    #expect(try scratch.segments().count == 1)
  }

  @Test func `the directory is 0700 and its files 0600`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal()])
    func mode(_ path: String) throws -> Int? {
      try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }
    #expect(try mode(scratch.path) == 0o700)
    for name in try FileManager.default.contentsOfDirectory(atPath: scratch.path) {
      #expect(try mode("\(scratch.path)/\(name)") == 0o600)
    }
  }

  @Test func `a second writer is refused and the first goes on`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open()
    #expect(throws: JournalError.locked(directory: scratch.path)) { try scratch.open() }
    #expect(journal.submit(refusal(), durability: .none) == .queued(sequence: 1))
    journal.stop()
    #expect(try scratch.records().count == 1)
  }

  @Test func `a directory that everybody may write is refused`() throws {
    let scratch = try Scratch()
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: scratch.path)
    #expect(throws: JournalError.writableByOthers(directory: scratch.path)) { try scratch.open() }
  }

  @Test func `a required record's completion comes when it can be read`() throws {
    let scratch = try Scratch()
    let completions = try Completions()
    let last = Atomic<UInt64>(0)
    let journal = try scratch.open(onDurable: {
      last.store($0, ordering: .releasing)
      completions.wake()
    })
    #expect(journal.submit(refusal(), durability: .none) == .queued(sequence: 1))
    #expect(journal.submit(refusal(), durability: .required(token: 77)) == .queued(sequence: 2))
    #expect(completions.wait(1, journal) == [JournalCompletion(token: 77, sequence: 2, outcome: .durable)])
    #expect(last.load(ordering: .acquiring) == 2)
    #expect(try scratch.records().map(\.sequence) == [1, 2])
    #expect(journal.counters.durable == 2)
    journal.stop()
  }

  @Test func `records of many threads stand in the order of their numbers and none twice`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open(change: { $0.capacity = 100_000 })
    let threads = 4
    let each = 2000
    let given = Mutex<[UInt32: [UInt64]]>([:])
    var running: [JoinedThread] = []
    for thread in 0..<UInt32(threads) {
      running.append(
        try JoinedThread {
          var mine: [UInt64] = []
          for _ in 0..<each {
            var record = refusal()
            record.pid = thread
            if case .queued(let sequence) = journal.submit(record, durability: .none) { mine.append(sequence) }
          }
          given.withLock { $0[thread] = mine }
        })
    }
    running.removeAll()
    journal.stop()
    let records = try scratch.records()
    #expect(records.map(\.sequence) == Array(1...UInt64(threads * each)))
    for thread in 0..<UInt32(threads) {
      #expect(records.filter { $0.pid == thread }.map(\.sequence) == given.withLock { $0[thread] })
    }
  }

  @Test func `a full queue denies required records and counts the others in one gap record`() throws {
    let scratch = try Scratch()
    let gate = try Gate()
    let journal = try scratch.open(fault: gate.atCreate, change: { $0.capacity = 4 })
    #expect(journal.submit(refusal(), durability: .none) == .queued(sequence: 1))
    gate.waitUntilReached()
    for sequence in 2...5 as ClosedRange<UInt64> {
      #expect(journal.submit(refusal(), durability: .none) == .queued(sequence: sequence))
    }
    #expect(journal.submit(refusal(), durability: .required(token: 1)) == .full)
    for sequence in 6...8 as ClosedRange<UInt64> {
      #expect(journal.submit(refusal("o", .quota), durability: .none) == .counted(sequence: sequence))
    }
    #expect(journal.submit(refusal("o", .stale), durability: .none) == .counted(sequence: 9))
    #expect(
      journal.submit(AuditRecord(.drop, time: clock(), boot: boot), durability: .none) == .counted(sequence: 10))
    #expect(journal.counters.dropped == 5)
    gate.release()
    #expect(eventually { journal.counters.appended == 6 })
    #expect(journal.submit(refusal("after"), durability: .none) == .queued(sequence: 11))
    journal.stop()

    let records = try scratch.records()
    #expect(records.map(\.sequence) == [1, 2, 3, 4, 5, 6, 11])
    let gap = try #require(records[5].gap)
    #expect(records[5].kind == .gap)
    #expect(
      gap
        == Gap(
          first: 6, last: 10,
          counts: [
            Gap.Count(reason: .stale, count: 1), Gap.Count(reason: .quota, count: 3), Gap.Count(reason: nil, count: 1),
          ]))
    try scratch.write([refusal()])
    #expect(try scratch.records().last?.sequence == 12)
  }

  @Test func `what was lost before it had a number is one gap record, and counts as dropped`() throws {
    let scratch = try Scratch()
    let gate = try Gate()
    let journal = try scratch.open(fault: gate.atCreate, change: { $0.capacity = 2 })
    var told = AuditRecord(.gap, time: clock(), boot: boot)
    told.path = .direct
    let counts = [Gap.Count(reason: .revoked, count: 9), Gap.Count(reason: .notAssociated, count: 1)]
    journal.submit(told, lost: counts)
    #expect(journal.counters.dropped == 10)
    gate.waitUntilReached()
    for sequence in 2...3 as ClosedRange<UInt64> {
      #expect(journal.submit(refusal(), durability: .none) == .queued(sequence: sequence))
    }
    // There is no room: it is counted with what else is not kept.
    #expect(journal.submit(refusal("o", .quota), durability: .none) == .counted(sequence: 4))
    journal.submit(told, lost: counts)
    #expect(journal.counters.dropped == 21)
    gate.release()
    journal.stop()
    let records = try scratch.records()
    #expect(records.map(\.sequence) == [1, 2, 3, 4])
    #expect(records[0].kind == .gap && records[0].path == .direct)
    let gap = try #require(records[0].gap)
    #expect(gap.first == 1 && gap.last == 1 && gap.lost == 10 && Set(gap.counts) == Set(counts))
    #expect(records[3].gap?.first == 4 && records[3].gap?.last == 5 && records[3].gap?.lost == 11)
    #expect(try scratch.verified().dropped == 21)
    try scratch.write([refusal()])
    #expect(try scratch.records().last?.sequence == 6)
  }

  @Test func `a gap at the end keeps its numbers over a restart`() throws {
    let scratch = try Scratch()
    let gate = try Gate()
    let journal = try scratch.open(fault: gate.atCreate, change: { $0.capacity = 1 })
    _ = journal.submit(refusal(), durability: .none)
    gate.waitUntilReached()
    _ = journal.submit(refusal(), durability: .none)
    #expect(journal.submit(refusal(), durability: .none) == .counted(sequence: 3))
    #expect(journal.submit(refusal(), durability: .none) == .counted(sequence: 4))
    gate.release()
    journal.stop()
    try scratch.write([refusal()])
    #expect(try scratch.records().map(\.sequence) == [1, 2, 3, 5])
  }

  @Test func `the queue is bounded in bytes too`() throws {
    let scratch = try Scratch()
    let gate = try Gate()
    let journal = try scratch.open(fault: gate.atCreate, change: { $0.capacityBytes = 8192 })
    _ = journal.submit(refusal(), durability: .none)
    gate.waitUntilReached()
    let long = ByteString(bytes: [UInt8](repeating: 0x61, count: 4000))
    #expect(journal.submit(refusal(long), durability: .none) == .queued(sequence: 2))
    #expect(journal.submit(refusal(long), durability: .none) == .queued(sequence: 3))
    #expect(journal.submit(refusal(long), durability: .none) == .counted(sequence: 4))
    gate.release()
    journal.stop()
  }

  @Test func `a segment that is full is followed by one named for its first record`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open(change: { $0.segmentSize = 1000 })
    for _ in 0..<100 { _ = journal.submit(refusal(), durability: .none) }
    journal.stop()
    let names = try scratch.segments()
    #expect(names.count > 5)
    #expect(names.first == "journal-00000000000000000001.pj")
    for name in names {
      #expect(try scratch.bytes(name).count <= 1000)
      let first = try #require(SegmentName.first(name))
      #expect(try scratch.records(from: first).first?.sequence == first)
    }
    #expect(try scratch.records().map(\.sequence) == Array(1...100))
    for sequence in [1, 2, 49, 50, 51, 100] as [UInt64] {
      #expect(try scratch.records(from: sequence).map(\.sequence) == Array(sequence...100))
    }
    #expect(try scratch.records(from: 101).isEmpty)
  }

  /// Refusals of one second, by a writer of their own that keeps records for 25 seconds.
  private func write(_ count: Int, _ scratch: Scratch, segment: UInt64, at second: UInt64) throws {
    let journal = try scratch.open(
      now: { AuditTime(wall: (1000 + second) * 1_000_000_000, boottime: clock().boottime) },
      change: {
        $0.segmentSize = segment
        $0.retention = 25_000_000_000
      })
    for _ in 0..<count { _ = journal.submit(refusal(), durability: .none) }
    journal.stop()
  }

  @Test func `segments older than the retention are removed whole and the rest stays`() throws {
    let scratch = try Scratch()
    for second in [0, 10, 20, 30] { try write(4, scratch, segment: 300, at: UInt64(second)) }
    let records = try scratch.records()
    let refusals = records.filter { $0.kind == .refusal }.count
    let removals = records.compactMap(\.removal)
    #expect(refusals >= 8 && refusals < 16, "only what is older than 25 s may be gone: \(refusals) of 16 are left")
    let first = try #require(records.first?.sequence)
    #expect(removals.last == Removal(first: 1, last: first - 1), "what is gone is said to be")
    #expect(zip(records, records.dropFirst()).allSatisfy { $1.sequence == $0.nextSequence })
    let card = try #require(try KeyCard.waiting(directory: scratch.path))
    let verified = try Verification(directory: scratch.path, cards: [card])
    #expect(verified.integrity == .intact && verified.completeness == .complete && verified.removed == first - 1)
  }

  @Test func `a journal in which little is recorded removes what is older than its retention, too`() throws {
    let scratch = try Scratch()
    // A second, of which a segment gets a tenth: no segment is ever full, and none begins while nothing is recorded.
    let journal = try scratch.open(change: {
      $0.retention = 1_000_000_000
      $0.leastAge = 50_000_000
    })
    defer { journal.stop() }
    for _ in 0..<5 {
      _ = journal.submit(refusal(), durability: .none)
      usleep(130_000)
    }
    #expect(try scratch.segments().count >= 5)
    // No record, no restart: only time.
    #expect(try eventually { try scratch.segments().count == 1 })
    let removals = try scratch.records().compactMap(\.removal)
    #expect(removals.last?.first == 1 && removals.last?.last ?? 0 >= 4)
    #expect(try scratch.verified().isGood)
  }

  @Test func `another segment size and another retention count from when they are set`() throws {
    let scratch = try Scratch()
    let completions = try Completions()
    let journal = try scratch.open(onDurable: { _ in completions.wake() })
    defer { journal.stop() }
    func write(_ tokens: ClosedRange<UInt64>) {
      for token in tokens { _ = journal.submit(refusal(), durability: .required(token: token)) }
      #expect(completions.wait(Int(tokens.upperBound), journal).count == Int(tokens.upperBound))
    }
    write(1...20)
    #expect(try scratch.segments().count == 1)
    journal.set(JournalLimits(segmentSize: 600, retention: nil))
    write(21...40)
    #expect(try scratch.segments().count > 4)
    journal.set(JournalLimits(segmentSize: 600, retention: 1))
    #expect(try eventually { try scratch.segments().count == 1 })
    #expect(try scratch.records().contains { $0.removal?.first == 1 })
    #expect(try scratch.verified().isGood)
  }

  @Test func `segments that somebody else removed are missing, also where the retention removes what follows`() throws {
    let scratch = try Scratch()
    try write(8, scratch, segment: 400, at: 0)
    let taken = try #require(try scratch.segments().first)
    try FileManager.default.removeItem(atPath: "\(scratch.path)/\(taken)")
    let next = try #require(try scratch.segments().first.flatMap { SegmentName.first($0) })
    try write(8, scratch, segment: 400, at: 20)
    try write(8, scratch, segment: 400, at: 40)
    let card = try #require(try KeyCard.waiting(directory: scratch.path))
    let verified = try Verification(directory: scratch.path, cards: [card])
    #expect(verified.removed >= next && verified.integrity == .intact)
    #expect(verified.missing == [Verification.Range(first: 1, last: next - 1)])
  }

  @Test func `submissions after stop are not accepted`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open()
    journal.stop()
    #expect(journal.submit(refusal(), durability: .required(token: 1)) == .full)
    journal.stop()
  }
}

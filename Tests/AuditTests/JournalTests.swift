import Foundation
import Instructions
import Linux
import Synchronization
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
    let journal = try scratch.open(
      fault: { step in
        if step == .create { gate.pass() }
        return nil
      }, change: { $0.capacity = 4 })
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

  @Test func `a gap at the end keeps its numbers over a restart`() throws {
    let scratch = try Scratch()
    let gate = try Gate()
    let journal = try scratch.open(
      fault: { step in
        if step == .create { gate.pass() }
        return nil
      }, change: { $0.capacity = 1 })
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
    let journal = try scratch.open(
      fault: { step in
        if step == .create { gate.pass() }
        return nil
      }, change: { $0.capacityBytes = 8192 })
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

  @Test func `segments older than the retention are removed whole and the rest stays`() throws {
    let scratch = try Scratch()
    let wall = Atomic<UInt64>(1_000_000_000_000)
    let now: @Sendable () -> AuditTime = {
      AuditTime(wall: wall.load(ordering: .acquiring), boottime: clock().boottime)
    }
    for _ in 0..<4 {
      let journal = try scratch.open(
        now: now,
        change: {
          $0.segmentSize = 300
          $0.retention = 25_000_000_000
        })
      for _ in 0..<4 { _ = journal.submit(refusal(), durability: .none) }
      journal.stop()
      wall.add(10_000_000_000, ordering: .releasing)
    }
    let first = try #require(try scratch.records().first?.sequence)
    #expect(first > 1 && first <= 8, "only what is older than 25 s may be gone: \(first)")
    #expect(try scratch.records().map(\.sequence) == Array(first...16))
  }

  @Test func `submissions after stop are not accepted`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open()
    journal.stop()
    #expect(journal.submit(refusal(), durability: .required(token: 1)) == .full)
    journal.stop()
  }
}

import Foundation
import Instructions
import Linux
import Synchronization
import TestSupport
import Testing

@testable import Audit

@Suite struct JournalReaderTests {
  /// Random ones, each with one number.
  private func records(_ count: Int, _ generator: inout SplitMix) -> [AuditRecord] {
    (0..<count).map { _ in
      var record = AuditRecord.random(&generator)
      record.gap = nil
      return record
    }
  }

  @Test func `an empty journal has no records and none that are newest`() throws {
    let scratch = try Scratch()
    #expect(try scratch.items().isEmpty)
    #expect(try JournalReader.newest(5, directory: scratch.path).isEmpty)
  }

  @Test func `a directory that is not there is an error that names it`() {
    let path = "/tmp/postern-audit-none"
    #expect(throws: JournalError.system(SystemError(errno: 2, operation: "open", path: path))) {
      var reader = try JournalReader(directory: path)
      _ = try reader.next()
    }
  }

  @Test func `the newest are the end of all, for every count and across segments`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open(change: { $0.segmentSize = 2000 })
    for index in 0..<200 { _ = journal.submit(refusal(index % 3 == 0 ? "a" : "b"), durability: .none) }
    journal.stop()
    let all = try scratch.items()
    for count in [1, 2, 7, 100, 199, 200, 500] {
      #expect(try JournalReader.newest(count, directory: scratch.path) == all.suffix(count))
    }
    let filter = AuditFilter(object: "a")
    let filtered = all.filter { if case .record(let record) = $0 { record.object == "a" } else { false } }
    #expect(try JournalReader.newest(10, directory: scratch.path, matching: filter) == filtered.suffix(10))
  }

  @Test func `the newest of a segment longer than a read are the end of all`() throws {
    let scratch = try Scratch()
    var generator = SplitMix(state: 4)
    try scratch.write(records(4000, &generator))
    let all = try scratch.items()
    #expect(all.count == 4000)
    #expect(try JournalReader.newest(3900, directory: scratch.path) == all.suffix(3900))
  }

  @Test func `the newest stand before a tail that is being written`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal("a"), refusal("b"), refusal("c")])
    let name = try #require(try scratch.segments().first)
    let whole = try scratch.bytes(name)
    try scratch.put(whole.dropLast(10), name)
    let newest = try JournalReader.newest(2, directory: scratch.path)
    #expect(newest == (try scratch.items()).suffix(2))
    #expect(newest.count == 2)
  }

  @Test func `reading from a number finds it without walking over what is before, also behind damage`() throws {
    let scratch = try Scratch()
    var generator = SplitMix(state: 11)
    try scratch.write(records(2000, &generator))
    let name = try #require(try scratch.segments().first)
    func check(_ numbers: some Sequence<UInt64>, most: UInt64) throws {
      let all = try scratch.records()
      for number in numbers {
        var reader = try JournalReader(directory: scratch.path, from: number)
        var found: AuditRecord?
        while found == nil, let item = try reader.next() { if case .record(let record) = item { found = record } }
        #expect(found == all.first { $0.sequence >= number }, "from \(number)")
        #expect(reader.walked < most, "from \(number)")
      }
    }
    try check(stride(from: 1, through: 2002, by: 7), most: 100 << 10)
    var bytes = try scratch.bytes(name)
    let middle = bytes.count / 2
    for index in middle..<middle + 100_000 { bytes[index] = 0x5A }
    try scratch.put(bytes, name)
    // The damage once for the place, and once to be told.
    try check(stride(from: 1, through: 2002, by: 7), most: 300 << 10)
    // From a number that is damaged the damage is told, from one behind it it is not.
    let kept = try scratch.records().map(\.sequence)
    let lost = try #require((1...2000).first { !kept.contains($0) })
    let behind = try #require(kept.first { $0 > lost })
    #expect(try scratch.items(from: lost).contains { if case .damaged = $0 { true } else { false } })
    #expect(try !scratch.items(from: behind).contains { if case .damaged = $0 { true } else { false } })
  }

  @Test func `damage counts as gone over, and what has been passed leads behind it`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open(change: { $0.segmentSize = 3000 })
    for _ in 0..<60 { _ = journal.submit(refusal(), durability: .none) }
    journal.stop()
    let names = try scratch.segments()
    #expect(names.count > 2)
    let starts = names.compactMap { SegmentName.first($0) }
    // In the first one of the records in the middle, in the second one all of them.
    let forger = try Forger(scratch)
    let frames = forger.segments[0].frames
    let part = SegmentHeader.length + frames[..<4].joined().count..<SegmentHeader.length + frames[..<9].joined().count
    for (name, range) in [(names[0], part), (names[1], SegmentHeader.length..<(try scratch.bytes(names[1]).count))] {
      var bytes = try scratch.bytes(name)
      for index in range { bytes[index] = 0 }
      try scratch.put(bytes, name)
    }
    var reader = try JournalReader(directory: scratch.path)
    #expect(reader.passed == 0 && reader.walked == 0)
    var passed: [UInt64] = []
    while let item = try reader.next() {
      if case .record(let record) = item {
        #expect(reader.passed == record.sequence)
      } else {
        passed.append(reader.passed)
      }
    }
    #expect(passed == [9, starts[2] - 1] && reader.passed == 60)
    let size = try names.reduce(0) { try $0 + scratch.bytes($1).count - SegmentHeader.length }
    #expect(reader.walked >= size - 2, "\(reader.walked) of \(size)")
  }

  @Test func `damage that is known is told and not gone over again, until the segment is put right`() throws {
    let scratch = try Scratch()
    var generator = SplitMix(state: 12)
    let journal = try scratch.open(change: {
      $0.segmentSize = 900_000
      $0.capacity = 10_000
    })
    for record in records(6000, &generator) { _ = journal.submit(record, durability: .none) }
    journal.stop()
    #expect(try scratch.segments().count > 1)
    let name = try #require(try scratch.segments().first)
    let whole = try scratch.bytes(name)
    var bytes = whole
    for index in 100_000..<800_000 { bytes[index] = 0 }
    try scratch.put(bytes, name)
    let known = KnownDamage()
    /// Up to the first record, what a reader meets and has gone over.
    func read(from number: UInt64, _ known: KnownDamage?) throws -> (items: [JournalItem], walked: UInt64) {
      var reader = try JournalReader(directory: scratch.path, from: number, known: known)
      var items: [JournalItem] = []
      while let item = try reader.next() {
        items.append(item)
        if case .record = item { break }
      }
      return (items, reader.walked)
    }
    let kept = try scratch.records().map(\.sequence)
    let lost = try #require((1...6000).first { !kept.contains($0) })
    #expect(try read(from: lost, known).walked > 700_000)
    for number in stride(from: 1, through: 6001 as UInt64, by: 300) {
      let (items, walked) = try read(from: number, known)
      #expect(try items == read(from: number, nil).items, "from \(number)")
      #expect(walked < 500_000, "from \(number)")
    }
    try scratch.put(whole, name)
    guard case .record(let record)? = try read(from: lost, known).items.first else {
      Issue.record("it is read when it is there again")
      return
    }
    #expect(record.sequence == lost)
  }

  @Test func `from the middle of a gap the gap is read`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open(change: { $0.capacity = 1 })
    for _ in 0..<3000 { _ = journal.submit(refusal(), durability: .none) }
    journal.stop()
    let gap = try #require(try scratch.records().first { ($0.gap.map { $0.last - $0.first } ?? 0) > 2 })
    #expect(try scratch.records(from: gap.sequence + 1).first == gap)
  }

  @Test func `a partial last record is the end, and is read when it is whole`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal("a"), refusal("b")])
    let name = try #require(try scratch.segments().first)
    let whole = try scratch.bytes(name)
    let first = SegmentHeader.length + refusal("a").frame().count
    for length in first..<whole.count {
      try scratch.put(Array(whole[..<length]), name)
      var reader = try JournalReader(directory: scratch.path)
      guard case .record(let record) = try reader.next() else {
        Issue.record("the first record is whole")
        continue
      }
      #expect(record.object == "a")
      #expect(try reader.next() == nil, "length \(length)")
      try scratch.put(whole, name)
      guard case .record(let second) = try reader.next() else {
        Issue.record("the second record is whole now, length \(length)")
        continue
      }
      #expect(second.object == "b")
    }
  }

  @Test func `a reader beside a writer meets every record once, in order, across rotations`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open(change: {
      $0.segmentSize = 5000
      $0.capacity = 100_000
    })
    let total: UInt64 = 5000
    let writing = try JoinedThread {
      for index in 0..<total {
        _ = journal.submit(refusal(), durability: index % 50 == 0 ? .required(token: index) : .none)
        if index % 100 == 0 { usleep(500) }
      }
    }
    var reader = try JournalReader(directory: scratch.path)
    var found: [UInt64] = []
    let done = try eventually {
      while let item = try reader.next() {
        guard case .record(let record) = item else {
          Issue.record("unreadable beside a writer: \(item)")
          continue
        }
        found.append(record.sequence)
      }
      return found.count >= total
    }
    #expect(done)
    #expect(found == Array(1...total))
    _ = consume writing
    journal.stop()
    #expect(try scratch.segments().count > 10)
  }

  @Test func `each condition of a filter is needed`() throws {
    var record = refusal("o", .quota)
    record.application = "app"
    record.pid = 5
    record.uid = 6
    record.time.wall = 100
    let filter = AuditFilter(
      kind: .refusal, reason: .quota, object: "o", application: "app", pid: 5, uid: 6, since: 100, until: 101)
    #expect(filter.matches(record))
    func without(_ change: (inout AuditRecord) -> Void) -> Bool {
      var other = record
      change(&other)
      return filter.matches(other)
    }
    #expect(!without { $0.kind = .grant })
    #expect(!without { $0.reason = .busy })
    #expect(!without { $0.object = "p" })
    #expect(!without { $0.application = nil })
    #expect(!without { $0.pid = 6 })
    #expect(!without { $0.uid = nil })
    #expect(!without { $0.time.wall = 99 })
    #expect(!without { $0.time.wall = 101 })
  }

  @Test func `a reader goes on when the retention removes what it has not read`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open(change: { $0.segmentSize = 1000 })
    for _ in 0..<50 { _ = journal.submit(refusal(), durability: .none) }
    journal.stop()
    var reader = try JournalReader(directory: scratch.path)
    _ = try reader.next()
    let names = try scratch.segments()
    for name in names[1...3] { try FileManager.default.removeItem(atPath: "\(scratch.path)/\(name)") }
    var last: UInt64 = 0
    while case .record(let record)? = try reader.next() { last = record.sequence }
    #expect(last == 50)
  }
}

import Foundation
import Instructions
import Linux
import Synchronization
import TestSupport
import Testing

@testable import Audit

/// Random lives of a journal against a naive model: a list of what was acknowledged.
@Suite struct JournalLifeTests {
  private static let lives = ProcessInfo.processInfo.environment["POSTERN_SOAK"] == nil ? 12 : 1200

  @Test func `whatever fails and ends in the middle, what was acknowledged is there and everything has its tag`() throws
  {
    for _ in 0..<JournalLifeTests.lives {
      let seed = UInt64.random(in: 0...UInt64.max)
      try live(seed)
    }
  }

  private func live(_ seed: UInt64) throws {
    var generator = SplitMix(state: seed)
    let scratch = try Scratch()
    var acknowledged: [UInt64] = []
    var submitted: UInt64 = 0
    var tears = 0
    var card: KeyCard?
    for _ in 0..<Int.random(in: 2...6, using: &generator) {
      let faults = Faults()
      let completions = try Completions()
      let size = UInt64.random(in: 500...6000, using: &generator)
      let capacity = Int.random(in: 4...400, using: &generator)
      let journal = try scratch.open(
        fault: { faults.check($0) }, onDurable: { _ in completions.wake() },
        change: {
          $0.segmentSize = size
          $0.capacity = capacity
          $0.checkpointInterval = 3_000_000
        })
      card = try card ?? KeyCard.waiting(directory: scratch.path)
      var tokens = 0
      for _ in 0..<Int.random(in: 1...40, using: &generator) {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0:
          let step = [JournalStep.create, .write, .synchronize, .truncate, .storeKey].randomElement(using: &generator)
          faults.set(step ?? .write, Bool.random(using: &generator) ? EIO : nil)
        case 1:
          for step in [JournalStep.create, .write, .synchronize, .truncate, .storeKey] { faults.set(step, nil) }
        case 2: usleep(UInt32.random(in: 0...4000, using: &generator))
        case 3..<6:
          if case .queued = journal.submit(
            AuditRecord(.grant, time: clock(), boot: boot), durability: .required(token: UInt64(tokens)))
          {
            tokens += 1
            submitted += 1
          }
        default:
          for _ in 0..<Int.random(in: 1...30, using: &generator) {
            _ = journal.submit(refusal(), durability: .none)
            submitted += 1
          }
        }
      }
      for step in [JournalStep.create, .write, .synchronize, .truncate, .storeKey] { faults.set(step, nil) }
      let told = completions.wait(tokens, journal)
      #expect(told.count == tokens, "seed \(seed): every required record has an end")
      acknowledged += told.filter { $0.outcome == .durable }.map(\.sequence)
      journal.stop()
      // Sometimes the process does not end in order: the last frame of a torn write is left.
      if Bool.random(using: &generator), let name = try scratch.segments().last {
        tears += 1
        let torn = (0..<Int.random(in: 1...90, using: &generator)).map { _ in
          UInt8.random(in: 0...255, using: &generator)
        }
        try scratch.put(try scratch.bytes(name) + torn, name)
      }
    }
    try scratch.write([])
    let verified = try Verification(directory: scratch.path, cards: card.map { [$0] } ?? [])
    #expect(verified.integrity != .violated && verified.missing.isEmpty, "seed \(seed): \(verified.lines)")
    #expect(submitted == 0 || verified.integrity == .intact, "seed \(seed)")
    #expect(tears == 0 || verified.completeness == .repaired, "seed \(seed): \(verified.lines)")
    let records = try scratch.records()
    let grants = records.filter { $0.kind == .grant }.map(\.sequence)
    #expect(grants == acknowledged, "seed \(seed): those that were acknowledged and no others")
    #expect(zip(records, records.dropFirst()).allSatisfy { $1.sequence == $0.nextSequence }, "seed \(seed)")
    let counted = records.compactMap(\.gap).flatMap(\.counts).reduce(0) { $0 + $1.count }
    let kept = UInt64(records.filter { [.grant, .refusal].contains($0.kind) }.count)
    #expect(kept + counted == submitted, "seed \(seed): each is a record or counted")
  }

  @Test func `no content of the files can do more than be found bad`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SplitMix(state: seed)
    for round in 0..<60 {
      let scratch = try Scratch()
      let journal = try scratch.open(change: { $0.segmentSize = 900 })
      for _ in 0..<20 { _ = journal.submit(refusal(), durability: .none) }
      journal.stop()
      let card = try #require(try KeyCard.waiting(directory: scratch.path))
      var forger = try Forger(scratch)
      for _ in 0..<Int.random(in: 1...5, using: &generator) {
        let index = Int.random(in: forger.segments.indices, using: &generator)
        let extreme: [UInt64] = [0, 1, 1 << 40, (1 << 62) - 1, 1 << 62, UInt64.max - 1, UInt64.max]
        let value = extreme.randomElement(using: &generator) ?? 0
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: forger.segments[index].header.first = value
        case 1: forger.segments[index].header.epoch = value
        default:
          let frame = Int.random(in: forger.segments[index].frames.indices, using: &generator)
          let field = [16, 24, 48, 56].randomElement(using: &generator) ?? 16
          for byte in 0..<8 {
            forger.segments[index].frames[frame][field + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte))
          }
        }
      }
      try forger.commit()
      if Bool.random(using: &generator) {
        var key = try scratch.bytes(KeyFile.name)
        for offset in 0..<key.count where Int.random(in: 0..<50, using: &generator) == 0 {
          key[offset] = UInt8.random(in: 0...255, using: &generator)
        }
        try scratch.put(key, KeyFile.name)
      }
      _ = try Verification(directory: scratch.path, cards: [card])
      _ = try JournalReader.newest(50, directory: scratch.path)
      _ = try scratch.items()
      let next = try scratch.open()
      let completions = try Completions()
      if case .full = next.submit(refusal("after"), durability: .required(token: 1)) {
        Issue.record("seed \(seed) round \(round)")
      }
      #expect(completions.wait(1, next).map(\.outcome) == [.durable], "seed \(seed) round \(round)")
      next.stop()
    }
  }

  @Test func `counts whose sum no number holds are told as the highest one, and verifying goes on`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal(), refusal(), refusal("kept")])
    var forger = try Forger(scratch)
    for number in 1...2 as ClosedRange<UInt64> {
      let gap = Gap(first: number, last: number, counts: [Gap.Count(reason: nil, count: 1 << 63)])
      let record = AuditRecord(gap: gap, time: AuditTime(wall: 1, boottime: 2), boot: boot)
      forger.segments[0].frames[Int(number) - 1] = record.frame()
    }
    try forger.commit()
    // Without the first key nothing speaks against them.
    let found = try Verification(directory: scratch.path)
    #expect(found.integrity == .unkeyed && found.records == 3 && found.dropped == .max)
  }

  @Test func `recording goes on behind any damage, is read, and has its tag`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SplitMix(state: seed)
    for round in 0..<60 {
      let scratch = try Scratch()
      let journal = try scratch.open(change: { $0.segmentSize = 900 })
      for _ in 0..<20 { _ = journal.submit(refusal(), durability: .none) }
      journal.stop()
      let names = try scratch.segments()
      for _ in 0..<Int.random(in: 1...8, using: &generator) {
        let name = try #require(names.randomElement(using: &generator))
        var bytes = try scratch.bytes(name)
        guard !bytes.isEmpty else { continue }
        if Int.random(in: 0..<4, using: &generator) == 0 {
          bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
        } else {
          bytes[Int.random(in: bytes.indices, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
        }
        try scratch.put(bytes, name)
      }
      let bad = try scratch.verified()
      #expect(bad.isBad, "seed \(seed) round \(round)")
      try scratch.write([refusal("after"), refusal("and on")])
      let last = try scratch.records().suffix(2)
      #expect(last.map(\.object) == ["after", "and on"], "seed \(seed) round \(round)")
      let verified = try scratch.verified()
      #expect(verified.isBad && verified.kept?.last == last.last?.sequence, "seed \(seed) round \(round)")
      let ends = verified.findings.filter { $0.sequence >= last.first?.sequence ?? 0 }
      #expect(ends.isEmpty, "seed \(seed) round \(round): \(verified.lines)")
    }
  }
}

import Chain
import Foundation
import Instructions
import Linux
import Synchronization
import Testing

@testable import Audit

/// The key that continues the chain, and the first one that was taken away.
@Suite struct KeyTests {
  private let state = KeyState(
    source: JournalID(high: 1, low: 2), chain: JournalID(high: 3, low: 4),
    key: ChainKey(epoch: 5, secret: Array(1...32)), durable: 6, removed: 7)

  private func bytes(_ scratch: Scratch) throws -> [UInt8] { try scratch.bytes(KeyFile.name) }

  @Test func `a stored key replaces the one before, which is nowhere in the file any more`() throws {
    let scratch = try Scratch()
    let directory = try JournalDirectory(path: scratch.path)
    var file = try KeyFile.create(directory, state)
    var next = state
    for epoch in 6...9 as ClosedRange<UInt64> {
      let before = next.key.secret
      #expect(contains(try bytes(scratch), before))
      next.key.evolve()
      try file.store(next)
      #expect(!contains(try bytes(scratch), before), "epoch \(epoch - 1)")
      let read = try #require(try KeyFile.read(directory))
      #expect(read.key.epoch == epoch && read.key.secret == next.key.secret)
      #expect(read.source == state.source && read.chain == state.chain && read.durable == 6 && read.removed == 7)
    }
  }

  @Test func `whatever the process ends at, one whole key is there, and only one after the next opening`() throws {
    let scratch = try Scratch()
    let directory = try JournalDirectory(path: scratch.path)
    var file = try KeyFile.create(directory, state)
    var next = state
    next.key.evolve()
    let old = try bytes(scratch)
    try file.store(next)
    let slot = Int(KeyFile.slotDistance)
    // Torn at every byte of the write of the new slot, and of the write that clears the old one.
    let new = try bytes(scratch)
    #expect(old.count == slot + KeyState.length || new.count == slot + KeyState.length)
    let written = (old + [UInt8](repeating: 0, count: new.count - old.count))
    for step in 0...2 * KeyState.length {
      var torn = written
      let fresh = new[0..<KeyState.length].contains { $0 != 0 } ? 0 : slot
      let stale = slot - fresh
      for index in 0..<min(step, KeyState.length) { torn[fresh + index] = new[fresh + index] }
      for index in 0..<max(0, step - KeyState.length) { torn[stale + index] = new[stale + index] }
      try scratch.put(torn, KeyFile.name)
      let epoch = try KeyFile.open(directory)?.state.key.epoch
      #expect(epoch == (step < KeyState.length ? 5 : 6), "step \(step)")
      let other = step < KeyState.length ? next.key.secret : state.key.secret
      #expect(!contains(try bytes(scratch), other))
    }
  }

  @Test func `a slot whose revision no writer reaches is no key`() throws {
    let scratch = try Scratch()
    let room = [UInt8](repeating: 0, count: Int(KeyFile.slotDistance))
    try scratch.put(state.encoded(revision: .max) + room, KeyFile.name)
    #expect(try KeyFile.read(try JournalDirectory(path: scratch.path)) == nil)
    try scratch.write([refusal()])
    #expect(try scratch.verified().isGood)
  }

  @Test func `an epoch ends after a second and its key is gone from the disk, though nothing more is written`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open()
    let directory = try JournalDirectory(path: scratch.path)
    let first = try #require(try KeyFile.read(directory))
    #expect(first.key.epoch == 0)
    _ = journal.submit(refusal(), durability: .none)
    #expect(try eventually { try KeyFile.read(directory)?.key.epoch == 1 })
    #expect(!contains(try bytes(scratch), first.key.secret))
    // While nothing is written there is nothing to protect, and the key stays.
    usleep(1_200_000)
    #expect(try KeyFile.read(directory)?.key.epoch == 1)
    journal.stop()
    #expect(try KeyFile.read(directory)?.durable == 1)
  }

  @Test func `an epoch ends after 1024 records`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open(change: { $0.capacity = 10_000 })
    for _ in 0..<3000 { _ = journal.submit(refusal(), durability: .none) }
    journal.stop()
    let card = try #require(try KeyCard.waiting(directory: scratch.path))
    var epochs: [UInt64: Int] = [:]
    for segment in try Forger(scratch).segments {
      for frame in segment.frames { epochs[Frame.epoch(frame.span, at: 0), default: 0] += 1 }
    }
    #expect(epochs.values.allSatisfy { $0 <= 1024 } && epochs.count >= 3)
    #expect(try Verification(directory: scratch.path, cards: [card]).isGood)
    // Nobody who has the key of now can seal what an epoch that is over had.
    let kept = try #require(try KeyFile.read(try JournalDirectory(path: scratch.path)))
    #expect(kept.key.epoch > epochs.keys.max() ?? 0)
  }

  @Test func `a key that cannot be stored does not stop recording, is told, and is stored later`() throws {
    let scratch = try Scratch()
    let faults = Faults()
    faults.set(.storeKey, EIO)
    let completions = try Completions()
    let journal = try scratch.open(fault: { faults.check($0) }, onDurable: { _ in completions.wake() })
    _ = journal.submit(refusal(), durability: .required(token: 1))
    #expect(completions.wait(1, journal).map(\.outcome) == [.durable])
    #expect(eventually { journal.counters.keyFailing == EIO })
    _ = journal.submit(refusal(), durability: .required(token: 2))
    #expect(completions.wait(2, journal).map(\.outcome) == [.durable, .durable])
    faults.set(.storeKey, nil)
    #expect(eventually { journal.counters.keyFailing == nil })
    let directory = try JournalDirectory(path: scratch.path)
    #expect(try eventually { try KeyFile.read(directory)?.key.epoch ?? 0 > 0 })
    journal.stop()
    let card = try #require(try KeyCard.waiting(directory: scratch.path))
    #expect(try Verification(directory: scratch.path, cards: [card]).isGood)
  }

  @Test func `a process that ended behind the head of a new segment is followed by one of a later epoch`() throws {
    let scratch = try Scratch()
    let faults = Faults()
    faults.set(.storeKey, EIO)
    let time = Mutex<UInt64>(0)
    let completions = try Completions()
    let journal = try scratch.open(
      fault: { faults.check($0) }, onDurable: { _ in completions.wake() },
      now: { AuditTime(wall: 1, boottime: time.withLock { $0 }) }, change: { $0.segmentSize = 300 })
    let key = try scratch.bytes(KeyFile.name)
    for token in 1...4 as ClosedRange<UInt64> {
      _ = journal.submit(refusal(), durability: .required(token: token))
      #expect(completions.wait(Int(token), journal).count == Int(token))
      time.withLock { $0 += 2 * Sealer.epochDuration }
    }
    journal.stop()
    let last = try #require(try scratch.segments().last)
    let bytes = try scratch.bytes(last)
    let head = SegmentHeader(decoding: bytes.span)
    #expect(head?.epoch ?? 0 >= 2, "its epoch is ahead of the key that was stored")
    try scratch.put(Array(bytes.prefix(SegmentHeader.length)), last)
    try scratch.unsay(key)
    try scratch.write([refusal("after it")])
    let verified = try scratch.verified()
    #expect(verified.integrity == .intact && verified.missing.isEmpty, "\(verified.lines)")
    #expect(try scratch.records().last?.object == "after it")
  }

  @Test func `the first key waits until it is taken, and is gone then`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open()
    #expect(journal.hasNewKey)
    _ = journal.submit(refusal(), durability: .none)
    journal.stop()
    let card = try #require(try KeyCard.waiting(directory: scratch.path))
    #expect(card.source == journal.source && KeyCard(text: card.text) == card)
    #expect(try Verification(directory: scratch.path).isKeyWaiting)
    try KeyCard.forget(directory: scratch.path)
    #expect(try KeyCard.waiting(directory: scratch.path) == nil)
    #expect(try !Verification(directory: scratch.path).isKeyWaiting)
    for name in try FileManager.default.contentsOfDirectory(atPath: scratch.path) {
      #expect(!contains(try scratch.bytes(name), card.secret ?? []), "\(name)")
    }
    #expect(try !scratch.open().hasNewKeyAndStop)
  }

  @Test func `a card is read strictly`() throws {
    let scratch = try Scratch()
    try scratch.write([])
    let card = try #require(try KeyCard.waiting(directory: scratch.path))
    var open = card
    open.secret = nil
    #expect(KeyCard(text: open.text) == open)
    for wrong in [
      "", "postern-journal-key 2\n", card.text + "more 00\n",
      card.text.replacingOccurrences(of: "source", with: "sauce"),
      String(card.text.dropLast(2)), card.text + "key 00\n",
    ] { #expect(KeyCard(text: wrong) == nil, "\(wrong)") }
  }

  @Test(arguments: ["gone", "damaged", "of another journal"])
  func `a key file that does not fit stops nothing: another chain begins, and that is said`(what: String) throws {
    let scratch = try Scratch()
    try scratch.write([refusal("before")])
    let first = try #require(try KeyCard.waiting(directory: scratch.path))
    switch what {
    case "gone": try FileManager.default.removeItem(atPath: "\(scratch.path)/\(KeyFile.name)")
    case "damaged": try scratch.put([1, 2, 3], KeyFile.name)
    default:
      let other = try Scratch()
      try other.write([refusal()])
      try scratch.put(try other.bytes(KeyFile.name), KeyFile.name)
    }
    let journal = try scratch.open()
    #expect(journal.hasNewKey && journal.source == first.source)
    _ = journal.submit(refusal("after"), durability: .none)
    journal.stop()
    #expect(try scratch.records().map(\.kind) == [.refusal, .rekey, .refusal])
    let second = try #require(try KeyCard.waiting(directory: scratch.path))
    #expect(second.chain != first.chain && second.secret != first.secret)
    let both = try Verification(directory: scratch.path, cards: [first, second])
    #expect(both.integrity == .intact && both.completeness == .complete)
    let one = try Verification(directory: scratch.path, cards: [first])
    #expect(one.integrity == .uncovered && one.unkeyedFrom == 2 && one.unkeyed == 2 && !one.isGood)
  }

  @Test func `a journal keeps its identity over restarts and in every segment, and two journals differ`() throws {
    let scratch = try Scratch()
    for _ in 0..<3 {
      let journal = try scratch.open(change: { $0.segmentSize = 500 })
      for _ in 0..<6 { _ = journal.submit(refusal(), durability: .none) }
      journal.stop()
    }
    let sources = Set(try Forger(scratch).segments.map(\.header.source))
    #expect(sources.count == 1)
    #expect(try JournalReader.source(directory: scratch.path) == sources.first)
    let other = try Scratch()
    #expect(try JournalReader.source(directory: other.path) == nil)
    try other.write([refusal()])
    #expect(try JournalReader.source(directory: other.path).map { !sources.contains($0) } == true)
  }
}

extension Journal {
  fileprivate var hasNewKeyAndStop: Bool {
    stop()
    return hasNewKey
  }
}

private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
  guard !part.isEmpty, bytes.count >= part.count else { return false }
  return (0...bytes.count - part.count).contains { Array(bytes[$0..<$0 + part.count]) == part }
}

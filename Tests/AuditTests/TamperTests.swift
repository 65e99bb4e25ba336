import Chain
import Foundation
import Instructions
import Linux
import TestSupport
import Testing

@testable import Audit

/// The tamper table of SECURITY, row by row. Each change is made by a `Forger`, who puts right all that needs no key.
@Suite struct TamperTests {
  enum Change: String, CaseIterable {
    case edited, deleted, inserted, reordered, duplicated, tail, segment
  }

  /// The number that is changed; the journal has 1...60 in segments of a dozen or so.
  private static let target: UInt64 = 20
  private static let count: UInt64 = 60

  /// A journal that was stopped, its card and the checkpoint that was exported at its end.
  private func journal() throws -> (Scratch, KeyCard, Checkpoint) {
    let scratch = try Scratch()
    let journal = try scratch.open(change: { $0.segmentSize = 1500 })
    for number in 1...TamperTests.count {
      _ = journal.submit(refusal(ByteString("object \(number)")), durability: .none)
    }
    journal.stop()
    let card = try #require(try KeyCard.waiting(directory: scratch.path))
    try KeyCard.forget(directory: scratch.path)
    #expect(try scratch.segments().count > 4)
    return (scratch, card, try #require(journal.checkpoint))
  }

  private static func make(_ change: Change, _ forger: inout Forger, renumbering: Bool) {
    let (segment, frame) = forger.place(target)
    switch change {
    case .edited:
      forger.segments[segment].frames[frame] = Forger.edited(forger.segments[segment].frames[frame])
    case .deleted: forger.segments[segment].frames.remove(at: frame)
    case .inserted:
      let made = Forger.edited(forger.segments[segment].frames[frame - 1])
      forger.segments[segment].frames.insert(made, at: frame)
    case .reordered: forger.segments[segment].frames.swapAt(frame, frame + 1)
    case .duplicated:
      forger.segments[segment].frames.insert(forger.segments[segment].frames[frame - 1], at: frame)
    case .tail: forger.segments[forger.segments.count - 1].frames.removeLast(3)
    case .segment: forger.segments.remove(at: segment)
    }
    if renumbering { forger.renumber() }
  }

  @Test func `nothing is found in a journal that nobody changed`() throws {
    let (scratch, card, checkpoint) = try journal()
    let keyed = try Verification(directory: scratch.path, cards: [card], checkpoints: [checkpoint])
    #expect(keyed.integrity == .intact && keyed.completeness == .complete)
    #expect(keyed.findingCount == 0 && keyed.unverified == 0 && keyed.openFrom == nil && !keyed.isKeyWaiting)
    #expect(keyed.kept == Verification.Range(first: 1, last: 60) && keyed.records == 60 && keyed.source != nil)
    #expect(keyed.checkpoints.map(\.outcome) == [.matches])
    let unkeyed = try Verification(directory: scratch.path, checkpoints: [checkpoint])
    #expect(unkeyed.integrity == .unkeyed && unkeyed.completeness == .complete && unkeyed.findingCount == 0)
    // Written back as it was: the forger's own work leaves no trace.
    try Forger(scratch).commit()
    #expect(try Verification(directory: scratch.path, cards: [card], checkpoints: [checkpoint]).isGood)
  }

  @Test(arguments: Change.allCases)
  func `with the first key a change is found, and the first bad or missing number named`(change: Change) throws {
    let (scratch, card, _) = try journal()
    var forger = try Forger(scratch)
    let (segment, _) = forger.place(TamperTests.target)
    let removed = forger.segments[segment].frames.map { Frame.sequence($0.span, at: 0) }
    TamperTests.make(change, &forger, renumbering: false)
    try forger.commit()
    let found = try Verification(directory: scratch.path, cards: [card])
    let unkeyed = try Verification(directory: scratch.path)
    #expect(unkeyed.isBad == ![.edited, .tail].contains(change), "numbers alone show what was not renumbered")
    switch change {
    case .edited:
      #expect(found.integrity == .violated && found.completeness == .complete)
      #expect(found.firstBad == 20 && found.findings.first?.kind == .altered)
    case .deleted:
      #expect(found.missing == [Verification.Range(first: 20, last: 20)] && found.completeness == .incomplete)
      #expect(found.upTo == 19)
    case .inserted, .duplicated:
      #expect(found.integrity == .violated && found.completeness == .complete)
      #expect(found.firstBad == 19 && found.findings.first?.kind == .duplicated)
    case .reordered:
      #expect(found.integrity == .violated && found.completeness == .complete)
      #expect(found.firstBad == 20 && found.findings.first?.kind == .misplaced)
    case .tail:
      // Whoever removes the end and sets the key file back leaves nothing behind that could tell.
      #expect(found.isGood && found.kept?.last == 57)
    case .segment:
      #expect(found.completeness == .incomplete)
      #expect(found.missing == [Verification.Range(first: removed[0], last: removed[removed.count - 1])])
    }
  }

  @Test(arguments: Change.allCases.filter { $0 != .tail })
  func `who renumbers what follows is found by the chain, and not by checksums alone`(change: Change) throws {
    let (scratch, card, checkpoint) = try journal()
    var forger = try Forger(scratch)
    let (segment, _) = forger.place(TamperTests.target)
    let first = forger.segments[segment].header.first
    TamperTests.make(change, &forger, renumbering: true)
    try forger.commit()
    // The twin: a reader with checksums and numbers, and everything that can be computed without a key.
    #expect(try !scratch.items().contains { if case .record = $0 { false } else { true } })
    let unkeyed = try Verification(directory: scratch.path)
    #expect(unkeyed.integrity == .unkeyed && unkeyed.completeness == .complete, "without the chain it is not seen")
    let keyed = try Verification(directory: scratch.path, cards: [card])
    #expect(keyed.integrity == .violated)
    #expect(keyed.firstBad == (change == .segment ? first : 20))
    // Without the key, but with a checkpoint that was kept elsewhere.
    let checked = try Verification(directory: scratch.path, checkpoints: [checkpoint])
    #expect(checked.isBad && !checked.isGood)
  }

  @Test func `a removed end is found with a checkpoint that was kept elsewhere, with and without the key`() throws {
    let (scratch, card, checkpoint) = try journal()
    var forger = try Forger(scratch)
    TamperTests.make(.tail, &forger, renumbering: false)
    try forger.commit()
    for cards in [[], [card]] {
      #expect(try Verification(directory: scratch.path, cards: cards).isGood, "the twin: without it nothing is seen")
      let found = try Verification(directory: scratch.path, cards: cards, checkpoints: [checkpoint])
      #expect(found.completeness == .incomplete && found.missing == [Verification.Range(first: 58, last: 60)])
      #expect(found.checkpoints.map(\.outcome) == [.beyond])
    }
  }

  @Test func `a removed end is found by the key file where that was left as it is`() throws {
    let (scratch, card, _) = try journal()
    let name = try #require(try scratch.segments().last)
    let whole = try scratch.bytes(name)
    let length = refusal("object 60").frame().count
    try scratch.put(whole.dropLast(length), name)
    let found = try Verification(directory: scratch.path, cards: [card])
    #expect(found.missing == [Verification.Range(first: 60, last: 60)])
    // The next broker gives no number twice, so that it stays to be seen.
    try scratch.write([refusal("next")])
    #expect(try scratch.records().last?.sequence == 61)
    #expect(
      try Verification(directory: scratch.path, cards: [card]).missing == [Verification.Range(first: 60, last: 60)])
  }

  /// A journal of `count` epochs with ten records each, and the card of its chain.
  private func journal(epochs count: Int) throws -> (Scratch, KeyCard) {
    let scratch = try Scratch()
    // What another opening writes is in an epoch of its own.
    for _ in 0..<count { try scratch.write((0..<10).map { refusal(ByteString("object \($0)")) }) }
    let card = try #require(try KeyCard.waiting(directory: scratch.path))
    try KeyCard.forget(directory: scratch.path)
    #expect(try Verification(directory: scratch.path, cards: [card]).isGood)
    return (scratch, card)
  }

  @Test(arguments: [0, 2])
  func `who seals records anew under a first key of their own is not taken for the writer`(segment: Int) throws {
    let (scratch, card, checkpoint) = try journal()
    var forger = try Forger(scratch)
    let first = forger.segments[segment].header.first
    forger.segments[segment].frames[0] = Forger.edited(forger.segments[segment].frames[0])
    try forger.sealAnew(from: segment)
    let unkeyed = try Verification(directory: scratch.path)
    #expect(unkeyed.isGood && unkeyed.records == 60, "the twin: without the first key it is not seen")
    let found = try Verification(directory: scratch.path, cards: [card])
    #expect(found.integrity == .uncovered && found.completeness == .complete && !found.isGood)
    #expect(found.unkeyedFrom == first && found.unkeyed == 61 - first && found.records == 60)
    let text = try #require(found.lines.first)
    #expect(text.hasPrefix("integrity: uncovered: \(61 - first) of 60 records"), "\(text)")
    #expect(text.contains("a first key that was not given") && text.contains("from \(first) on") == (segment > 0))
    let checked = try Verification(directory: scratch.path, checkpoints: [checkpoint])
    #expect(checked.integrity == .violated)
  }

  @Test func `a removed end gives itself away by the key, which is epochs ahead and cannot be led back`() throws {
    let (scratch, card) = try journal(epochs: 5)
    var forger = try Forger(scratch)
    forger.segments[0].frames.removeLast(20)
    try forger.commit()
    // The forger has set the number back that the key file says; that of the epoch alone says the same without any key.
    for cards in [[], [card]] {
      let found = try Verification(directory: scratch.path, cards: cards)
      #expect(found.completeness == .incomplete && found.lostEpochs == 2 && found.isBad, "\(found.lines)")
      #expect(found.lines.contains { $0.contains("2 epochs ahead of the last record") })
    }
    // An epoch that fits, as low as it may be or lower, with a key that the forger can make.
    for epoch in [0, 1, 3] as [UInt64] {
      try Forger.setKeyFile(scratch) { $0.key = ChainKey(epoch: epoch, secret: Array(1...32)) }
      let found = try Verification(directory: scratch.path, cards: [card])
      #expect(found.integrity == .violated && found.findings.map(\.kind) == [.contradicted], "\(epoch): \(found.lines)")
      #expect(try Verification(directory: scratch.path).isGood, "the twin: without the first key it is not seen")
    }
  }

  @Test func `of the last epoch the end can be removed unseen, as long as a record of it is left`() throws {
    let (scratch, card) = try journal(epochs: 3)
    var forger = try Forger(scratch)
    forger.segments[0].frames.removeLast(9)
    try forger.commit()
    #expect(try Verification(directory: scratch.path, cards: [card]).isGood)
    forger.segments[0].frames.removeLast(1)
    try forger.commit()
    #expect(try Verification(directory: scratch.path, cards: [card]).lostEpochs == 1)
  }

  @Test(arguments: ["gone", "of another journal", "of another chain"])
  func `with the first key a journal whose key file is not there is not plainly complete`(what: String) throws {
    let (scratch, card) = try journal(epochs: 2)
    switch what {
    case "gone": try FileManager.default.removeItem(atPath: "\(scratch.path)/\(KeyFile.name)")
    case "of another journal": try Forger.setKeyFile(scratch) { $0.source = JournalID(high: 1, low: 1) }
    default: try Forger.setKeyFile(scratch) { $0.chain = JournalID(high: 1, low: 1) }
    }
    let found = try Verification(directory: scratch.path, cards: [card])
    #expect(found.lacksKeyFile && !found.isGood && found.lines.contains { $0.contains("whether the end is") })
    if what != "of another chain" { #expect(found.integrity == .intact && !found.isBad) }
  }

  @Test func `with the first key an empty directory is no journal, and another key file is not covered`() throws {
    let (scratch, card) = try journal(epochs: 2)
    for name in try FileManager.default.contentsOfDirectory(atPath: scratch.path) {
      try FileManager.default.removeItem(atPath: "\(scratch.path)/\(name)")
    }
    #expect(try Verification(directory: scratch.path, cards: [card]).isEmpty)
    let made = KeyState(
      source: card.source, chain: JournalID(high: 1, low: 1), key: ChainKey(epoch: 0, secret: Array(1...32)), durable: 0
    )
    _ = try KeyFile.create(try JournalDirectory(path: scratch.path), made)
    let found = try Verification(directory: scratch.path, cards: [card])
    #expect(!found.isEmpty && found.integrity == .uncovered && !found.isGood)
  }

  @Test func `removing everything is found with a checkpoint`() throws {
    let (scratch, card, checkpoint) = try journal()
    for name in try FileManager.default.contentsOfDirectory(atPath: scratch.path) {
      try FileManager.default.removeItem(atPath: "\(scratch.path)/\(name)")
    }
    let found = try Verification(directory: scratch.path, cards: [card], checkpoints: [checkpoint])
    #expect(found.completeness == .incomplete && found.missing == [Verification.Range(first: 1, last: 60)])
  }

  @Test func `a journal of another first key in its place is not intact`() throws {
    let (scratch, card, checkpoint) = try journal()
    let (other, _, _) = try journal()
    for name in try scratch.segments() { try FileManager.default.removeItem(atPath: "\(scratch.path)/\(name)") }
    for name in try other.segments() { try scratch.put(try other.bytes(name), name) }
    try FileManager.default.removeItem(atPath: "\(scratch.path)/\(Checkpoint.fileName)")
    let found = try Verification(directory: scratch.path, cards: [card], checkpoints: [checkpoint])
    #expect(found.integrity == .violated && found.findings.first?.kind == .foreign)
  }

  @Test func `a withdrawn record that is put back in the place of the gap does not fit`() throws {
    let (scratch, card, _) = try journal()
    var forger = try Forger(scratch)
    let (segment, frame) = forger.place(TamperTests.target)
    // The frame of another number with this one's: it has a tag of the same epoch and key, but not of this place.
    var other = forger.segments[segment].frames[frame + 1]
    other.replaceSubrange(16..<24, with: forger.segments[segment].frames[frame][16..<24])
    forger.segments[segment].frames[frame] = other
    try forger.commit()
    #expect(try Verification(directory: scratch.path, cards: [card]).firstBad == 20)
  }

  @Test func `any changed byte of a finished epoch is found, with its checksum put right or not`() throws {
    let (scratch, card, _) = try journal()
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SplitMix(state: seed)
    let names = try scratch.segments()
    let rounds = ProcessInfo.processInfo.environment["POSTERN_SOAK"] == nil ? 150 : 15_000
    for round in 0..<rounds {
      let name = try #require(names.randomElement(using: &generator))
      let whole = try scratch.bytes(name)
      let index = Int.random(in: 0..<whole.count, using: &generator)
      var changed = whole
      changed[index] ^= UInt8.random(in: 1...255, using: &generator)
      if Bool.random(using: &generator) { changed = protected(changed, as: whole) }
      if changed == whole { continue }
      try scratch.put(changed, name)
      let found = try Verification(directory: scratch.path, cards: [card])
      #expect(found.isBad, "seed \(seed) round \(round): byte \(index) of \(name)")
      try scratch.put(whole, name)
    }
    #expect(try Verification(directory: scratch.path, cards: [card]).isGood)
  }

  /// The segment with all checksums put right, its frames where those of `whole` are.
  private func protected(_ bytes: [UInt8], as whole: [UInt8]) -> [UInt8] {
    var result = bytes
    let head = CRC32C.checksum(result.span, 0..<124)
    result.putLittleEndian32(head, at: 124)
    let marker = littleEndian32(whole.span, at: 12)
    var offset = SegmentHeader.length
    while let length = Frame.length(whole.span, at: offset, marker: marker) {
      Frame.protect(&result, offset..<offset + length, marker: littleEndian32(result.span, at: 12))
      offset += length
    }
    return result
  }
}

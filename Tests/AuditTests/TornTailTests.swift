import Foundation
import Instructions
import Testing

@testable import Audit

/// What the end of a process or of the machine leaves: each state of the file is made by hand and then opened.
@Suite struct TornTailTests {
  private let name = "journal-00000000000000000001.pj"

  @Test func `a cut at any byte of the last record loses that record only, and the repair says so`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal("a"), refusal("b"), refusal("c")])
    let whole = try scratch.bytes(name)
    let key = try scratch.bytes(KeyFile.name)
    let length = refusal("c").frame().count
    for cut in 1...length {
      try scratch.put(Array(whole[..<(whole.count - cut)]), name)
      try scratch.unsay(key)
      try scratch.write([refusal("d")])
      let items = try scratch.items()
      let records = items.compactMap { if case .record(let record) = $0 { record } else { nil } }
      #expect(records.count == items.count, "nothing is left that cannot be read, cut \(cut)")
      #expect(records.prefix(2).map(\.object) == ["a", "b"], "cut \(cut)")
      if cut == length {
        #expect(records.map(\.kind) == [.refusal, .refusal, .refusal], "a tail that ends at a record needs no repair")
      } else {
        #expect(records.map(\.sequence) == [1, 2, 3, 4], "cut \(cut)")
        let repair = try #require(records[2].repair)
        #expect(records[2].kind == .repair)
        #expect(repair == Repair(segment: 1, offset: UInt64(whole.count - length), lost: UInt64(length - cut)))
      }
      #expect(records.last?.object == "d", "cut \(cut)")
      let verified = try scratch.verified()
      #expect(verified.integrity == .intact && verified.missing.isEmpty, "cut \(cut): \(verified.lines)")
      #expect(verified.completeness == (cut == length ? .complete : .repaired), "cut \(cut)")
    }
  }

  @Test func `a flipped bit anywhere in the last record cuts that record only`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal("a"), refusal("b")])
    let whole = try scratch.bytes(name)
    let key = try scratch.bytes(KeyFile.name)
    let length = refusal("b").frame().count
    for index in (whole.count - length)..<whole.count {
      var flipped = whole
      flipped[index] ^= 1 << UInt8(index % 8)
      try scratch.put(flipped, name)
      try scratch.unsay(key)
      try scratch.write([])
      let records = try scratch.records()
      #expect(records.map(\.kind) == [.refusal, .repair], "byte \(index)")
      #expect(records.first?.object == "a")
      #expect(records.last?.repair?.lost == UInt64(length))
    }
  }

  @Test func `damage before the last record does not stop recording and is told by readers`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal("a"), refusal("b"), refusal("c")])
    var bytes = try scratch.bytes(name)
    let length = refusal("a").frame().count
    bytes[SegmentHeader.length + length + 40] ^= 0xFF
    try scratch.put(bytes, name)
    try scratch.write([refusal("d")])
    let items = try scratch.items()
    #expect(items.count == 4)
    #expect(
      items[1] == .damaged(segment: 1, offset: UInt64(SegmentHeader.length + length), length: UInt64(length)))
    #expect(try scratch.records().map(\.sequence) == [1, 3, 4])
    let verified = try scratch.verified()
    #expect(verified.firstBad == 2 && verified.missing == [Verification.Range(first: 2, last: 2)])
    #expect(verified.findings.map(\.kind) == [.damaged] && verified.unverified == 1, "what follows is intact")
    #expect(try JournalReader.newest(10, directory: scratch.path).count == 4)
  }

  @Test func `a damaged length in the middle hides one record, not those behind it`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal("a"), refusal("b"), refusal("c")])
    var bytes = try scratch.bytes(name)
    bytes[SegmentHeader.length + 8] = 0xFF
    bytes[SegmentHeader.length + 9] = 0xFF
    try scratch.put(bytes, name)
    #expect(try scratch.records().map(\.sequence) == [2, 3])
  }

  @Test func `a segment that was torn at its head is removed and its number is used again`() throws {
    for length in 0...SegmentHeader.length - 1 {
      let scratch = try Scratch()
      try scratch.write([refusal("a")])
      let head = [UInt8](repeating: 0, count: SegmentHeader.length)
      try scratch.put(Array(head[..<length]), "journal-00000000000000000002.pj")
      try scratch.write([refusal("b")])
      let records = try scratch.records()
      #expect(records.filter { $0.kind == .refusal }.map(\.object) == ["a", "b"], "length \(length)")
      #expect(records.map(\.sequence) == Array(1...UInt64(records.count)))
      #expect(records.contains { $0.kind == .repair } == (length > 0))
    }
  }

  @Test func `a segment with a damaged head is kept, told of, and no number in it is used again`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal("a"), refusal("b"), refusal("c")])
    var bytes = try scratch.bytes(name)
    bytes[0] = 0
    try scratch.put(bytes, name)
    try scratch.write([refusal("d")])
    #expect(try scratch.bytes(name) == bytes)
    let items = try scratch.items()
    #expect(items.first == .damaged(segment: 1, offset: 0, length: UInt64(bytes.count)))
    let records = try scratch.records()
    #expect(records.map(\.kind) == [.repair, .refusal])
    #expect((records.first?.sequence ?? 0) > 3)
    let verified = try scratch.verified()
    #expect(verified.integrity == .violated && verified.completeness == .incomplete && verified.firstBad == 1)
  }

  @Test func `a whole record inside a name is not taken for one when the record around it is damaged`() throws {
    let scratch = try Scratch()
    var forged = refusal("forged")
    forged.sequence = 2
    try scratch.write([refusal("a"), refusal(ByteString(bytes: forged.frame(marker: 7))), refusal("c")])
    var bytes = try scratch.bytes(name)
    bytes[SegmentHeader.length + refusal("a").frame().count + 30] ^= 1
    try scratch.put(bytes, name)
    #expect(try scratch.records().map(\.object) == ["a", "c"])
  }

  @Test func `without a marker that cannot be guessed the record inside a name would be taken`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal("a")])
    // The same as above by one who knows the segment's marker.
    let head = try scratch.bytes(name)
    let marker = littleEndian32(head.span, at: 12)
    var forged = refusal("forged")
    forged.sequence = 2
    try scratch.write([refusal(ByteString(bytes: forged.frame(marker: marker))), refusal("c")])
    var bytes = try scratch.bytes(name)
    bytes[SegmentHeader.length + refusal("a").frame().count + 30] ^= 1
    try scratch.put(bytes, name)
    #expect(try scratch.records().map(\.object) == ["a", "forged", "c"])
  }

  @Test func `files that are no segments are left alone`() throws {
    let scratch = try Scratch()
    for name in ["journal-1.pj", "journal-0000000000000000000x.pj", "journal-99999999999999999999.pj", "notes"] {
      try scratch.put([1, 2, 3], name)
    }
    try scratch.write([refusal()])
    #expect(try scratch.records().map(\.sequence) == [1])
    #expect(try scratch.bytes("notes") == [1, 2, 3])
  }

  @Test func `what was acknowledged is there in every state of the file from the acknowledgement on`() throws {
    let scratch = try Scratch()
    let completions = try Completions()
    let journal = try scratch.open(onDurable: { _ in completions.wake() })
    _ = journal.submit(refusal("sure"), durability: .required(token: 1))
    #expect(completions.wait(1, journal).map(\.outcome) == [.durable])
    let acknowledged = try scratch.bytes(name).count
    for _ in 0..<20 { _ = journal.submit(refusal("later"), durability: .none) }
    journal.stop()
    let whole = try scratch.bytes(name)
    let key = try scratch.bytes(KeyFile.name)
    for length in acknowledged...whole.count {
      try scratch.put(Array(whole[..<length]), name)
      try scratch.unsay(key)
      try scratch.write([])
      #expect(try scratch.records().first?.object == "sure", "length \(length)")
    }
  }
}

import Instructions
import TestSupport
import Testing

@testable import Audit

@Suite struct RecordCodingTests {
  @Test func `the checksum gives the values of RFC 3720`() {
    func checksum(_ bytes: [UInt8]) -> UInt32 { CRC32C.checksum(bytes.span, 0..<bytes.count) }
    #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(checksum(Array(0..<32)) == 0x46DD_794E)
    #expect(checksum(Array((0..<32).reversed())) == 0x113F_DB5C)
  }

  @Test func `a random record comes back as it was`() throws {
    var generator = SplitMix(state: UInt64.random(in: 0...UInt64.max))
    let seed = generator.state
    for round in 0..<500 {
      let record = AuditRecord.random(&generator)
      let frame = record.frame()
      #expect(Frame.length(frame.span, at: 0, marker: 7) == frame.count)
      #expect(try AuditRecord(decoding: frame) == record, "seed \(seed) round \(round)")
    }
  }

  @Test func `a number that no record has is none`() throws {
    var record = refusal()
    record.sequence = Frame.sequenceLimit - 1
    #expect(try AuditRecord(decoding: record.frame()) == record)
    for sequence in [Frame.sequenceLimit, UInt64.max] {
      record.sequence = sequence
      #expect(throws: AuditFormatError.malformed) { try AuditRecord(decoding: record.frame()) }
    }
  }

  @Test func `a changed bit anywhere but in the marker is found by the checksum`() {
    var generator = SplitMix(state: 3)
    let frame = AuditRecord.random(&generator).frame()
    for bit in 32..<frame.count * 8 {
      var flipped = frame
      flipped[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(Frame.length(flipped.span, at: 0, marker: 7) == nil, "bit \(bit)")
    }
  }

  @Test func `a body that ends early is an error at every length`() {
    var generator = SplitMix(state: 11)
    for _ in 0..<10 {
      let frame = AuditRecord.random(&generator).frame()
      for length in 0..<frame.count - Frame.trailerLength {
        #expect(throws: AuditFormatError.self) { try AuditRecord(decoding: Array(frame[..<length])) }
      }
    }
  }

  @Test func `random bytes in a body never do more than throw`() {
    var generator = SplitMix(state: UInt64.random(in: 0...UInt64.max))
    let seed = generator.state
    var decoded = 0
    for _ in 0..<1500 {
      var frame = AuditRecord.random(&generator).frame()
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let index = Int.random(in: 12..<frame.count, using: &generator)
        frame[index] = UInt8.random(in: 0...255, using: &generator)
      }
      if let record = try? AuditRecord(decoding: frame) {
        decoded += 1
        _ = record.json
        _ = record.tableRow
      }
    }
    #expect(decoded > 0, "seed \(seed)")
  }

  @Test func `fields that a later version adds behind the known ones are passed over`() throws {
    var generator = SplitMix(state: 5)
    let record = AuditRecord.random(&generator)
    var frame = record.frame()
    frame[12] = 2
    frame[Frame.sealedHeadLength + 39] |= 0x80
    frame.insert(contentsOf: [1, 2, 3, 4, 5], at: frame.count - Frame.trailerLength)
    #expect(try AuditRecord(decoding: frame) == record)
  }

  @Test func `a head with a tag, one without and a longer one are of the same record`() throws {
    var generator = SplitMix(state: 6)
    let record = AuditRecord.random(&generator)
    var frame = record.frame()
    #expect(frame.count == record.encoded.count + 24)
    #expect(try AuditRecord(decoding: record.encoded) == record)
    frame[13] += 32
    frame.insert(contentsOf: repeatElement(0xAA, count: 32), at: Frame.sealedHeadLength)
    #expect(try AuditRecord(decoding: frame) == record)
  }

  @Test func `an unknown kind is an error that names it`() {
    var frame = refusal().frame()
    frame[14] = 200
    #expect(throws: AuditFormatError.unknownKind(200)) { try AuditRecord(decoding: frame) }
  }

  @Test func `an unknown reason is an error that names its code`() {
    var frame = refusal().frame()
    frame[Frame.sealedHeadLength + 40] = 0x63
    #expect(throws: AuditFormatError.unknownCode(0x63)) { try AuditRecord(decoding: frame) }
  }

  @Test func `a text beyond the maximum is cut and the record says so`() throws {
    var record = refusal(ByteString(bytes: [UInt8](repeating: 0x41, count: 5000)))
    record.message = "kept"
    let decoded = try AuditRecord(decoding: record.frame())
    #expect(decoded.isTruncated)
    #expect(decoded.object?.bytes.count == AuditRecord.maximumTextLength)
    #expect(decoded.message == "kept")
  }

  @Test func `of too many groups those that fit are kept, and the record says that it was cut`() throws {
    var record = refusal()
    var generator = SplitMix(state: 12)
    var circumstances = Circumstances.random(&generator)
    circumstances.supplementaryGIDs = Array(0..<UInt32(Circumstances.maximumGroups))
    record.circumstances = circumstances
    #expect(try AuditRecord(decoding: record.frame()) == record)
    record.circumstances?.supplementaryGIDs.append(7)
    let decoded = try AuditRecord(decoding: record.frame())
    #expect(decoded.isTruncated)
    #expect(decoded.circumstances == circumstances)
  }

  @Test func `circumstances that a later version has more of are read as far as they are known`() throws {
    var record = refusal()
    var generator = SplitMix(state: 13)
    record.circumstances = Circumstances.random(&generator)
    var frame = record.frame()
    var body: [UInt8] = []
    record.circumstances?.encode(into: &body)
    // The last field before the trailer.
    let start = frame.count - Frame.trailerLength - body.count
    frame.insert(contentsOf: [1, 2, 3], at: frame.count - Frame.trailerLength)
    frame[start] += 3
    #expect(try AuditRecord(decoding: frame) == record)
  }

  @Test func `the longest record there can be fits a frame`() {
    var generator = SplitMix(state: 1)
    var record = AuditRecord.random(&generator)
    let long = ByteString(bytes: [UInt8](repeating: 0xFF, count: 10_000))
    record.object = long
    record.application = long
    record.executablePath = long
    record.cgroup = long
    record.grant = long
    record.message = long
    record.circumstances = Circumstances.random(&generator)
    record.circumstances?.supplementaryGIDs = [UInt32](repeating: .max, count: 70_000)
    #expect(record.frame().count <= Frame.maximumLength)
  }

  @Test func `kinds, causes and their words are distinct`() {
    #expect(Set(AuditKind.allCases.map(\.name)).count == AuditKind.allCases.count)
    #expect(AuditKind.allCases.allSatisfy { AuditKind(name: $0.name) == $0 })
    #expect(Set(DropCause.allCases.map(\.name)).count == DropCause.allCases.count)
  }

  @Test func `a boot id reads and writes as the kernel's text`() {
    let text = "01234567-89ab-cdef-fedc-ba9876543210"
    #expect(BootID(text: text + "\n") == boot)
    #expect(boot.text == text)
    #expect(BootID(text: "0123") == nil)
    #expect(BootID(text: String(repeating: "x", count: 32)) == nil)
  }
}

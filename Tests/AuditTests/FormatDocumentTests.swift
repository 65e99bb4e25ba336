import Chain
import Foundation
import Instructions
import Linux
import Testing

@testable import Audit

/// PROTOCOL.md's bytes of the journal's files, which another implementation of its sums has computed.
@Suite struct FormatDocumentTests {
  private static let secret = Array(0..<32 as Range<UInt8>)

  /// The bytes of a block marked `journal NAME`, without what follows a #.
  private func block(_ name: String) throws -> [UInt8] {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "PROTOCOL.md"), encoding: .utf8)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex(of: "```journal \(name)"[...]))
    return try lines[(start + 1)...].prefix { $0 != "```" }.flatMap { line in
      try line.prefix { $0 != "#" }.split(separator: " ").map { try #require(UInt8($0, radix: 16)) }
    }
  }

  private func sealer() throws -> Sealer {
    Sealer(
      key: ChainKey(epoch: 0, secret: Self.secret),
      source: try #require(JournalID(text: "00112233445566778899aabbccddeeff")),
      chain: try #require(JournalID(text: "0f0e0d0c0b0a09080706050403020100")), hash: SegmentHash(),
      previous: Sealer.noTag)
  }

  @Test func `a segment's head and a record are sealed to exactly the bytes that the document shows`() throws {
    var sealer = try sealer()
    let head = sealer.head(marker: 0x4D41_524B, first: 1, created: 1_764_000_000_000_000_000)
    #expect(try head.encoded() == block("head"))
    let shown = try block("head")
    #expect(SegmentHeader(decoding: shown.span) == head)
    var record = AuditRecord(
      .refusal, time: AuditTime(wall: 1_764_000_000_500_000_000, boottime: 5_000_000_000), boot: boot)
    record.sequence = 1
    record.reason = .limit
    record.errno = 1
    record.object = "scratch"
    var frame = record.frame()
    sealer.seal(&frame, 0..<frame.count, marker: 0x4D41_524B, at: 0)
    #expect(try frame == block("record"))
    #expect(try AuditRecord(decoding: block("record")) == record)
    #expect(
      Hexadecimal.text(sealer.hash) == "a1bd4e1a077f60f6e3f1593798ef3cb1a48874e95f8c876448c6bacfe31c05bd")
  }

  @Test func `a key file's slot is the one that the document shows`() throws {
    var key = ChainKey(epoch: 0, secret: Self.secret)
    key.evolve()
    let sealer = try sealer()
    let state = KeyState(source: sealer.source, chain: sealer.chain, key: key, durable: 1)
    #expect(try state.encoded(revision: 1) == block("key"))
    let shown = try block("key")
    let decoded = KeyState.decoded(shown.span)
    let read = try #require(decoded)
    #expect(read.revision == 1 && read.state.key.secret == key.secret && read.state.chain == sealer.chain)
  }

  @Test func `the document's segment verifies with its first key, and not with another`() throws {
    let scratch = try Scratch()
    try scratch.put(try block("head") + block("record"), "journal-00000000000000000001.pj")
    let sealer = try sealer()
    let signer = [UInt8](repeating: 0, count: 32)
    let card = KeyCard(source: sealer.source, chain: sealer.chain, secret: Self.secret, signer: signer)
    let verified = try Verification(directory: scratch.path, cards: [card])
    #expect(verified.integrity == .intact && verified.completeness == .complete && verified.lacksKeyFile)
    var wrong = card
    wrong.secret = Self.secret.reversed()
    #expect(try Verification(directory: scratch.path, cards: [wrong]).firstBad == 1)
  }

  @Test func `the document names every kind, and every field by its bit`() throws {
    #expect(AuditKind.allCases.map(\.rawValue) == Array(1...17))
    #expect(AuditField.allCases.map(\.rawValue) == Array(0...30))
    #expect(AuditKind.runtimeGrantEnd.rawValue == 17 && AuditField.runtimeGrant.rawValue == 30)
    #expect(AuditField.object.rawValue == 19 && AuditField.message.rawValue == 24 && AuditField.removal.rawValue == 28)
  }
}

import Chain
import Foundation
import Linux

@testable import Audit

/// Somebody who may change every file of a journal, knows its format and has no key of an epoch that is over.
///
/// What needs no key is put right behind each change: numbers, checksums, the segments' hashes and names, what the key
/// file says of the last number. So what is found afterwards is found by the chain.
struct Forger {
  struct Segment {
    var header: SegmentHeader
    var frames: [[UInt8]]
  }

  let scratch: Scratch
  var segments: [Segment] = []

  init(_ scratch: Scratch) throws {
    self.scratch = scratch
    for name in try scratch.segments() {
      let bytes = try scratch.bytes(name)
      guard let header = SegmentHeader(decoding: bytes.span) else { continue }
      var frames: [[UInt8]] = []
      var offset = SegmentHeader.length
      while let length = Frame.length(bytes.span, at: offset, marker: header.marker) {
        frames.append(Array(bytes[offset..<offset + length]))
        offset += length
      }
      segments.append(Segment(header: header, frames: frames))
    }
  }

  /// Where the record with a number stands.
  func place(_ sequence: UInt64) -> (segment: Int, frame: Int) {
    for (index, segment) in segments.enumerated() {
      if let frame = segment.frames.firstIndex(where: { Frame.sequence($0.span, at: 0) == sequence }) {
        return (index, frame)
      }
    }
    return (0, 0)
  }

  /// Gives the record another object, and leaves its tag as it is.
  static func edited(_ frame: [UInt8]) -> [UInt8] {
    guard var record = try? AuditRecord(decoding: frame) else { return frame }
    record.object = record.object.map { ByteString(bytes: $0.bytes.reversed()) }
    var bytes: [UInt8] = []
    AuditRecord.encodeFrame(
      kind: record.kind, sequence: record.sequence, body: record.encodedBody(), isSealed: true, into: &bytes)
    bytes.replaceSubrange(24..<48, with: frame[24..<48])
    return bytes
  }

  /// Gives every record the number of its place.
  mutating func renumber() {
    var next = segments.first?.header.first ?? 1
    for index in segments.indices {
      segments[index].header.first = next
      for frame in segments[index].frames.indices {
        for byte in 0..<8 { segments[index].frames[frame][16 + byte] = UInt8(truncatingIfNeeded: next >> (8 * byte)) }
        next += 1
      }
    }
  }

  /// Writes everything back with the records from a segment on sealed under another first key, of the forger's own making,
  /// and the key file with the key that would continue that chain.
  mutating func sealAnew(from index: Int) throws {
    let before = index == 0 ? SegmentHash() : hash(of: index - 1)
    let secret = [UInt8](repeating: 0xF0, count: ChainKey.length)
    let chain = JournalID.random()
    var sealer = Sealer(
      key: ChainKey(epoch: 0, secret: secret), source: segments[index].header.source, chain: chain, hash: before,
      previous: Sealer.noTag)
    var last: UInt64 = 0
    for index in segments.indices.dropFirst(index) {
      let old = segments[index].header
      segments[index].header = sealer.head(marker: old.marker, first: old.first, created: old.created)
      for frame in segments[index].frames.indices {
        let length = segments[index].frames[frame].count
        sealer.seal(&segments[index].frames[frame], 0..<length, marker: old.marker, at: 0)
        let sealed = segments[index].frames[frame]
        last = Frame.sequence(sealed.span, at: 0)
      }
    }
    try commit()
    sealer.turn(at: 0, isEnd: true)
    _ = try KeyFile.create(
      try JournalDirectory(path: scratch.path),
      KeyState(source: sealer.source, chain: chain, key: sealer.key, durable: last))
  }

  private func hash(of index: Int) -> SegmentHash {
    var hash = SegmentHash(head: segments[index].header.digest)
    for frame in segments[index].frames { hash.add(Frame.digest(frame, 0..<frame.count)) }
    return hash
  }

  /// Changes what the key file says.
  static func setKeyFile(_ scratch: Scratch, _ change: (inout KeyState) -> Void) throws {
    let directory = try JournalDirectory(path: scratch.path)
    guard var state = try KeyFile.read(directory) else { return }
    change(&state)
    _ = try KeyFile.create(directory, state)
  }

  /// Writes everything back, with all that needs no key.
  func commit() throws {
    for name in try scratch.segments() { try FileManager.default.removeItem(atPath: "\(scratch.path)/\(name)") }
    try? FileManager.default.removeItem(atPath: "\(scratch.path)/\(Checkpoint.fileName)")
    var before: [UInt8]?
    var last: UInt64 = 0
    for segment in segments {
      var header = segment.header
      if let before { header.before = before }
      var hash = SegmentHash(head: header.digest)
      var bytes = header.encoded()
      for frame in segment.frames {
        var frame = frame
        Frame.protect(&frame, 0..<frame.count, marker: header.marker)
        hash.add(Frame.digest(frame, 0..<frame.count))
        last = max(last, Frame.sequence(frame.span, at: 0))
        bytes += frame
      }
      before = hash.value
      try scratch.put(bytes, SegmentName.name(first: header.first))
    }
    let directory = try JournalDirectory(path: scratch.path)
    if var state = try KeyFile.read(directory) {
      state.durable = last
      var file = try KeyFile.open(directory)
      try file?.store(state)
    }
  }
}

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

import Linux

extension JournalReader {
  /// The newest `count` matching records, oldest first, with the damage that lies among them.
  ///
  /// - Parameters:
  ///   - most: how many bytes are looked at, by some records; where fewer match among them, fewer come.
  ///   - durable: the last number that is known to be on disk: what is behind it may still be withdrawn, and is left out.
  ///
  /// Reads backwards from the journal's end, so it does not depend on the journal's length.
  public static func newest(
    _ count: Int, directory path: String, matching filter: AuditFilter = AuditFilter(), within most: Int = .max,
    upTo durable: UInt64 = .max
  ) throws(JournalError) -> [JournalItem] {
    do {
      let directory = try JournalDirectory(path: path)
      var found: [JournalItem] = []
      var following: UInt64?
      var left = most
      for first in SegmentName.sorted(try directory.names()).reversed() where found.count < count && left > 0 {
        guard let file = try directory.openToRead(SegmentName.name(first: first)) else { continue }
        try collect(file, segment: first, following: following, filter, upTo: durable, count, &left, &found)
        following = first
      }
      return found.reversed()
    } catch { throw .system(error) }
  }

  /// Appends one segment's records to `found`, newest first, until there are `count`.
  private static func collect(
    _ file: consuming JournalFile, segment: UInt64, following: UInt64?, _ filter: AuditFilter,
    upTo durable: UInt64, _ count: Int, _ left: inout Int, _ found: inout [JournalItem]
  ) throws(SystemError) {
    var head: [UInt8] = []
    _ = try file.read(into: &head, count: SegmentHeader.length, at: 0)
    var end = try file.size()
    guard let header = SegmentHeader(decoding: head.span) else {
      // The last segment may be being made.
      if following != nil { found.append(.damaged(segment: segment, offset: 0, length: end)) }
      return
    }
    func item(_ frame: [UInt8]) -> JournalItem? {
      let sequence = Frame.sequence(frame.span, at: 0)
      if let following, sequence >= following { return nil }
      guard sequence <= durable else { return nil }
      do {
        let record = try AuditRecord(decoding: frame)
        return filter.matches(record) ? .record(record) : nil
      } catch { return .unknown(sequence: sequence, error) }
    }
    func frame(endingAt stop: Int, _ bytes: [UInt8]) -> Int? {
      guard stop >= Frame.minimumLength else { return nil }
      let length = Int(littleEndian32(bytes.span, at: stop - Frame.trailerLength))
      guard length >= Frame.minimumLength, length <= stop,
        Frame.length(bytes.span, at: stop - length, marker: header.marker) == length
      else { return nil }
      return length
    }
    let chunk = UInt64(256 << 10)
    let size = end
    let start = UInt64(SegmentHeader.length)
    while end > start, found.count < count, left > 0 {
      let base = max(start, end > chunk ? end - chunk : 0)
      var bytes: [UInt8] = []
      _ = try file.read(into: &bytes, count: Int(end - base), at: base)
      guard bytes.count == Int(end - base) else { break }
      var stop = bytes.count
      if end == size {
        // A writer may be at it, or was torn away from it: begin at the last whole frame.
        while stop > 0, frame(endingAt: stop, bytes) == nil { stop -= 1 }
        if following != nil, stop < bytes.count {
          found.append(
            .damaged(segment: segment, offset: base + UInt64(stop), length: UInt64(bytes.count - stop)))
        }
      }
      while found.count < count, left > 0, let length = frame(endingAt: stop, bytes) {
        if let item = item(Array(bytes[stop - length..<stop])) { found.append(item) }
        stop -= length
        left -= length
      }
      // No whole frame ends here: a torn tail or damage. What is before is read forward.
      if stop == bytes.count { break }
      end = base + UInt64(stop)
    }
    guard end > start, found.count < count, left > 0, var cursor = try SegmentCursor(file) else { return }
    if end - start > UInt64(left) { guard try cursor.findFrame(from: end - UInt64(left)) else { return } }
    var rest: [JournalItem] = []
    reading: while cursor.offset < end {
      let before = cursor.offset
      defer { left -= Int(cursor.offset - before) }
      switch try cursor.next() {
      case .frame(let frame): if let item = item(frame) { rest.append(item) }
      case .damaged(let offset, let length): rest.append(.damaged(segment: segment, offset: offset, length: length))
      case .end(let left):
        if following != nil, left > 0 {
          rest.append(.damaged(segment: segment, offset: cursor.offset, length: left))
        }
        break reading
      }
      if rest.count >= 2 * count + 64 { rest.removeFirst(rest.count - count) }
    }
    found.append(contentsOf: rest.reversed().prefix(count - found.count))
  }
}

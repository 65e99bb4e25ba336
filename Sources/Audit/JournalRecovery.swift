import Linux

/// Where an existing journal goes on.
struct JournalRecovery: ~Copyable {
  /// The next sequence number.
  var next: UInt64 = 1
  /// The last segment, if it can be continued, and how many of its bytes are whole frames.
  var segment: (header: SegmentHeader, length: UInt64)?
  var file: JournalFile?
  /// The tail that has to be cut, if there is one.
  var repair: Repair?

  /// Looks at the last segment. Damage before its last whole frame is left for readers to tell of.
  init(_ directory: borrowing JournalDirectory) throws(SystemError) {
    var segments = SegmentName.sorted(try directory.names())
    while let first = segments.popLast() {
      let name = SegmentName.name(first: first)
      guard let file = try directory.openToWrite(name) else { continue }
      let size = try file.size()
      guard let scanned = try JournalRecovery.scan(directory, name) else {
        next = max(next, first)
        if size <= UInt64(SegmentHeader.length) {
          // The process ended while it made the segment: no record was ever in it.
          try directory.remove(name)
          if size > 0 { repair = Repair(segment: first, offset: 0, lost: size) }
          continue
        }
        // Its head is damaged, so its records cannot be told apart: leave it alone, and go on behind every number
        // that it can hold.
        next = max(next, first + size / UInt64(Frame.minimumLength) + 1)
        repair = Repair(segment: first, offset: 0, lost: size)
        return
      }
      next = max(next, scanned.next)
      segment = (scanned.header, scanned.end)
      if size > scanned.end { repair = Repair(segment: first, offset: scanned.end, lost: size - scanned.end) }
      self.file = consume file
      return
    }
  }

  /// nil: the file has no segment's head.
  private static func scan(_ directory: borrowing JournalDirectory, _ name: String) throws(SystemError)
    -> (header: SegmentHeader, end: UInt64, next: UInt64)?
  {
    guard let file = try directory.openToRead(name), var cursor = try SegmentCursor(file) else { return nil }
    var end = cursor.offset
    var next = cursor.header.first
    while true {
      switch try cursor.next() {
      case .frame(let frame):
        end = cursor.offset
        next = max(next, Frame.sequence(frame.span, at: 0) &+ 1)
        if frame[14] == AuditKind.gap.rawValue, let record = try? AuditRecord(decoding: frame) {
          next = max(next, record.nextSequence)
        }
      case .damaged: continue
      case .end: return (cursor.header, end, next)
      }
    }
  }
}

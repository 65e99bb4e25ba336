import Chain
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
  /// Where the chain stands; nil: no segment with a readable head is there.
  var link: Link?
  /// Whether there are segments at all.
  var isNew = true

  /// What the next record is chained to.
  struct Link: Sendable {
    var source: JournalID
    var chain: JournalID
    /// Of the last record, or of the head where there is none.
    var epoch: UInt64
    var tag: [UInt8]
    var hash: SegmentHash
  }

  /// Looks at the last segment. Damage before its last whole frame is left for readers to tell of.
  ///
  /// - Parameter fault: see `Journal`.
  init(
    _ directory: borrowing JournalDirectory, fault: (@Sendable (JournalStep) -> Int32?)? = nil
  ) throws(SystemError) {
    var segments = SegmentName.sorted(try directory.names())
    isNew = segments.isEmpty
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
      link = scanned.link
      // A killed writer's last records may be in memory alone, and from here on they count as on disk: where they cannot be
      // brought there, nobody may be told that they are, and the journal is not opened.
      try JournalStep.synchronize.check(fault)
      try file.synchronize()
      if size > scanned.end { repair = Repair(segment: first, offset: scanned.end, lost: size - scanned.end) }
      // The chain behind damage cannot be continued there: what is damaged is a part of its hash.
      guard scanned.isWhole else { return }
      segment = (scanned.header, scanned.end)
      self.file = consume file
      return
    }
  }

  private struct Scan {
    var header: SegmentHeader
    var end: UInt64
    var next: UInt64
    var link: Link
    /// Every byte before `end` is of a whole, sealed frame.
    var isWhole = true
  }

  /// nil: the file has no segment's head.
  private static func scan(_ directory: borrowing JournalDirectory, _ name: String) throws(SystemError) -> Scan? {
    guard let file = try directory.openToRead(name), var cursor = try SegmentCursor(file) else { return nil }
    let header = cursor.header
    let link = Link(
      source: header.source, chain: header.chain, epoch: header.epoch, tag: header.tag,
      hash: SegmentHash(head: header.digest))
    var scan = Scan(header: header, end: cursor.offset, next: header.first, link: link)
    while true {
      switch try cursor.next() {
      case .frame(let frame):
        scan.end = cursor.offset
        scan.next = max(scan.next, Frame.sequence(frame.span, at: 0) &+ 1)
        if frame[14] == AuditKind.gap.rawValue, let record = try? AuditRecord(decoding: frame) {
          scan.next = max(scan.next, record.nextSequence)
        }
        guard Frame.isSealed(frame.span, at: 0, length: frame.count) else {
          scan.isWhole = false
          continue
        }
        scan.link.epoch = Frame.epoch(frame.span, at: 0)
        scan.link.tag = Frame.tag(frame.span, at: 0)
        scan.link.hash.add(Frame.digest(frame, 0..<frame.count))
      case .damaged: scan.isWhole = false
      case .end: return scan
      }
    }
  }
}

import Linux

extension SegmentWriter {
  /// Nanoseconds that a segment is written to at most: without such a limit a broker that records little would keep its
  /// oldest records until the segment is full.
  private var segmentSpan: UInt64? {
    configuration.retention.map { max($0 / 10, configuration.leastAge) }
  }

  /// Whether an entry belongs into a new segment, so that this one can grow old. What speaks of the journal itself does
  /// not: where nothing else is recorded, removals would be the reason for removals.
  func isAged(_ header: SegmentHeader, before entry: Batch.Entry, _ now: AuditTime) -> Bool {
    guard let span = segmentSpan, now.wall > span, !entry.isOwn else { return false }
    return header.created < now.wall - span
  }

  /// When segments have to be looked at, though none begins; boottime nanoseconds.
  var lookDue: UInt64? { segmentSpan.map { looked &+ min($0, 3_600_000_000_000) } }

  /// The numbers of the segments whose every record is older than the retention; nil: none.
  ///
  /// They are removed by `remove` when the record that says so is on disk: what is missing without one was taken.
  mutating func old(now: AuditTime) -> Removal? {
    looksForOld = false
    looked = now.boottime
    guard let retention = configuration.retention, now.wall > retention, let names = try? directory.names() else {
      return nil
    }
    let segments = SegmentName.sorted(names)
    var removal: Removal?
    for (old, following) in zip(segments, segments.dropFirst()) {
      // A segment's records are all older than the one that follows it.
      guard let file = try? directory.openToRead(SegmentName.name(first: following)),
        let cursor = try? SegmentCursor(file), cursor.header.created < now.wall - retention
      else { break }
      // What is not there any more and was not removed by us is not said to have been.
      removal = Removal(first: removal?.first ?? (old <= removed + 1 ? 1 : old), last: following - 1)
    }
    return removal
  }

  /// Removes the segments; what fails is found again at the next rotation.
  func remove(_ removal: Removal) {
    guard let names = try? directory.names() else { return }
    for first in SegmentName.sorted(names) where first >= removal.first && first <= removal.last {
      try? directory.remove(SegmentName.name(first: first))
    }
  }
}

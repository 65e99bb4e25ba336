import Linux

/// What a reader meets.
public enum JournalItem: Sendable, Hashable {
  case record(AuditRecord)
  /// Bytes of a segment that are no whole record: damage, never the tail that a writer is writing.
  case damaged(segment: UInt64, offset: UInt64, length: UInt64)
  /// A whole record that this version does not understand.
  case unknown(sequence: UInt64, AuditFormatError)
}

/// Reads a journal forward across its segments, beside a writer if there is one.
///
/// At the end `next` returns nil and may be called again later: it then goes on with what has been written since.
public struct JournalReader: ~Copyable {
  private let directory: JournalDirectory
  private let known: KnownDamage?
  private var cursor: SegmentCursor?
  /// The first sequence number of the cursor's segment.
  private var segment: UInt64 = 0
  /// The segment behind it; nil: none when last looked.
  private var following: UInt64?
  /// The smallest sequence number that has not been passed.
  private var wanted: UInt64
  /// All numbers up to this one have been met, or passed over, or were where damage is that was told.
  public var passed: UInt64 { max(wanted, 1) - 1 }
  /// Damage that was told already ends here.
  private var damageEnd: UInt64 = 0
  /// A segment without a head that has been passed over and not been told.
  private var headless: JournalItem?
  /// Bytes of the journal that it has gone over, passed over or not, damage and what was looked at to find a place among
  /// them: what it has cost.
  public var walked: UInt64 {
    switch cursor {
    case .some(let cursor): walkedBefore + cursor.walked
    case .none: walkedBefore
    }
  }
  /// In segments that it has left.
  private var walkedBefore: UInt64 = 0
  /// How far the journal was known to be on disk when its files were last looked at; nil: they were not yet.
  private var certain: UInt64?

  /// - Parameters:
  ///   - from: the first sequence number that is wanted; those that are no longer kept are passed over.
  ///   - known: what readers of this journal have found, and will.
  public init(
    directory path: String, from sequence: UInt64 = 0, known: KnownDamage? = nil
  ) throws(JournalError) {
    self.known = known
    do { directory = try JournalDirectory(path: path) } catch { throw .system(error) }
    wanted = sequence
  }

  /// The next record that matches, or what is unreadable; nil: nothing more now.
  ///
  /// - Parameter durable: the last number that is known to be on disk. What is behind it may be withdrawn by the writer,
  ///   which then puts something else in its place, perhaps in another file; it is not read, and where it was read ahead
  ///   it is read again when more is on disk. Without a bound a reader that lives longer than one pass can meet records
  ///   that never were.
  public mutating func next(
    matching filter: AuditFilter = AuditFilter(), upTo durable: UInt64 = .max
  ) throws(JournalError) -> JournalItem? {
    do {
      while let item = try step(upTo: durable) {
        guard case .record(let record) = item else { return item }
        if filter.matches(record) { return item }
      }
      return nil
    } catch { throw .system(error) }
  }

  /// Forgets what was read ahead of `offset`, and looks again which file goes on there.
  private mutating func lookAgain(from offset: UInt64) throws(SystemError) {
    cursor?.seek(to: offset)
    following = try segments().first { $0 > segment }
    // The writer removes a segment of which nothing reached the disk, and makes another one of that name. One that the
    // retention has removed has no successor of its name, and is read to its end.
    guard try cursor?.isRemoved() == true, try directory.openToRead(SegmentName.name(first: segment)) != nil else {
      return
    }
    leaveSegment()
    following = nil
  }

  private mutating func leaveSegment() {
    walkedBefore = walked
    cursor = nil
  }

  private mutating func step(upTo durable: UInt64) throws(SystemError) -> JournalItem? {
    var known = certain ?? durable
    certain = known
    while true {
      if cursor == nil {
        let isOpen = try openSegment()
        if let item = headless {
          headless = nil
          return item
        }
        guard isOpen else { return nil }
      }
      if let size = try cursor?.size(), let offset = cursor?.offset, size < offset {
        // The writer has cut what it could not make durable: look for the place again, past what was told.
        try cursor?.seek(toSequence: wanted)
      }
      let offset = cursor?.offset ?? 0
      guard let step = try cursor?.next() else { return nil }
      if case .frame(let frame) = step, Frame.sequence(frame.span, at: 0) <= min(known, durable) {
        if let item = accept(frame) { return item }
        continue
      }
      // Whatever it is, it was looked at before all of it was on disk.
      if durable > known {
        try lookAgain(from: offset)
        known = durable
        certain = known
        continue
      }
      switch step {
      case .frame:
        cursor?.seek(to: offset)
        return nil
      case .damaged(let offset, let length):
        // Numbers grow from frame to frame: those before the one behind the damage do not come any more. One that may be
        // withdrawn, or is, says nothing.
        if let next = try cursor?.nextSequence(), next <= durable, following.map({ next < $0 }) ?? true {
          wanted = max(wanted, next)
        }
        if offset >= damageEnd {
          damageEnd = offset + length
          return .damaged(segment: segment, offset: offset, length: length)
        }
      case .end(let left):
        if following == nil {
          following = try segments().first { $0 > segment }
          // What was written before the next segment began is read first.
          if following == nil { return nil }
          continue
        }
        leaveSegment()
        // Every number before the next segment's was to be in this one, or in one before it.
        if left > 0, let following { wanted = max(wanted, following) }
        if left > 0, offset >= damageEnd { return .damaged(segment: segment, offset: offset, length: left) }
      }
    }
  }

  /// nil: passed over.
  private mutating func accept(_ frame: [UInt8]) -> JournalItem? {
    let sequence = Frame.sequence(frame.span, at: 0)
    // Frames that the next segment repeats were withdrawn: the writer could not make them durable here.
    if let following, sequence >= following { return nil }
    do {
      let record = try AuditRecord(decoding: frame)
      guard record.nextSequence > wanted else { return nil }
      wanted = record.nextSequence
      return .record(record)
    } catch {
      guard sequence >= wanted else { return nil }
      wanted = sequence &+ 1
      return .unknown(sequence: sequence, error)
    }
  }

  private borrowing func segments() throws(SystemError) -> [UInt64] {
    SegmentName.sorted(try directory.names())
  }

  /// Opens the segment that has the wanted number, or the first one behind it; false: there is none.
  private mutating func openSegment() throws(SystemError) -> Bool {
    var all = try segments()
    if let following { all.removeAll { $0 < following } }
    while !all.isEmpty {
      // Binary search: the last segment that begins at or before the wanted number.
      var low = 0
      var high = all.count
      while high - low > 1 {
        let middle = (low + high) / 2
        if all[middle] <= wanted { low = middle } else { high = middle }
      }
      let first = all[low]
      if let file = try directory.openToRead(SegmentName.name(first: first)) {
        let size = try file.size()
        if var opened = try SegmentCursor(file) {
          // One with a successor is not written to any more.
          if let known, low + 1 < all.count { try opened.use(known) }
          if first < wanted { try opened.seek(toSequence: wanted) }
          cursor = consume opened
          segment = first
          following = low + 1 < all.count ? all[low + 1] : nil
          damageEnd = 0
          return true
        }
        // Being made by the writer, if it is the last.
        if low + 1 == all.count { return false }
        wanted = max(wanted, all[low + 1])
        headless = .damaged(segment: first, offset: 0, length: size)
      }
      // Removed by the retention, or without a head.
      all.remove(at: low)
    }
    return false
  }
}

extension JournalReader {
  /// Which journal is in the directory; nil: no readable segment is there.
  ///
  /// Records of several journals can be told apart by it: sequence numbers are one journal's own.
  public static func source(directory path: String) throws(JournalError) -> JournalID? {
    do {
      let directory = try JournalDirectory(path: path)
      for first in SegmentName.sorted(try directory.names()).reversed() {
        guard let file = try directory.openToRead(SegmentName.name(first: first)),
          let cursor = try SegmentCursor(file)
        else { continue }
        return cursor.header.source
      }
      return nil
    } catch { throw .system(error) }
  }
}

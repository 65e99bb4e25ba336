import Linux

/// A step of writing, for tests that let it fail.
enum JournalStep: Sendable, Hashable {
  case create, write, synchronize, truncate, storeKey

  func check(_ fault: (@Sendable (JournalStep) -> Int32?)?) throws(SystemError) {
    if let code = fault?(self) { throw SystemError(errno: code, operation: "\(self)") }
  }
}

/// Puts frames into segment files; used by one thread.
///
/// Keeps every frame until it is on disk, so that what a failed write or sync left in doubt is written again, or is
/// withdrawn, and never both acknowledged and lost.
struct SegmentWriter: ~Copyable {
  private struct Segment {
    var header: SegmentHeader
    /// Bytes written.
    var offset: UInt64
    /// Bytes on disk.
    var durable: UInt64
    /// An earlier process began it.
    var isResumed = false
    /// What stands behind `offset` was withdrawn, and is cut off before anything is written.
    var isUncut = false

    /// It has a head and no record that is on disk.
    var isEmpty: Bool { durable <= UInt64(SegmentHeader.length) }
  }

  let directory: JournalDirectory
  /// Held as long as the journal is open: the one writer.
  private let lock: JournalFile
  private(set) var configuration: JournalConfiguration
  private let fault: (@Sendable (JournalStep) -> Int32?)?
  /// The file of `segment`; both are there, or neither.
  private var file: JournalFile?
  private var segment: Segment?
  /// Frames that are not known to be on disk, in order.
  private var held = Batch()
  /// How much of `held` stands in the segment.
  private var written = (entries: 0, bytes: 0)
  /// Tails that had to be cut, one for a segment: what to tell once writing works again.
  private(set) var cuts: [(repair: Repair, errno: Int32)] = []
  /// The chain behind what stands in the segment.
  var sealer: Sealer
  /// The chain behind what is on disk; a failed sync leads back here.
  var sealed: Sealer
  var keyFile: KeyFile
  /// The epoch whose key `keyFile` has, and when it was put there.
  var stored: (epoch: UInt64, at: UInt64)
  /// Files that have to be on disk before a segment is.
  private var unsynchronized: [String]
  /// Whether segments have to be looked at for those that are too old.
  var looksForOld = true
  /// When they were looked at last; boottime nanoseconds.
  var looked: UInt64 = 0

  /// What one commit came to.
  struct Outcome {
    var completions: [JournalCompletion] = []
    /// The last sequence number that has reached the disk in this commit.
    var durable: UInt64?
    var appended: UInt64 = 0
    var dropped: UInt64 = 0
    /// nil: everything that was due is done.
    var errno: Int32?
  }

  init(
    directory: consuming JournalDirectory, lock: consuming JournalFile, configuration: JournalConfiguration,
    chain: consuming JournalChain, fault: (@Sendable (JournalStep) -> Int32?)?
  ) {
    sealer = chain.sealer
    sealed = chain.sealer
    stored = (chain.storedEpoch, 0)
    unsynchronized = chain.isNew ? JournalChain.madeFiles : []
    keyFile = chain.keyFile
    self.directory = directory
    self.lock = lock
    self.configuration = configuration
    self.fault = fault
  }

  /// Goes on in a segment whose first `length` bytes are whole frames.
  mutating func resume(_ file: consuming JournalFile, header: SegmentHeader, length: UInt64) {
    self.file = consume file
    segment = Segment(header: header, offset: length, durable: length, isResumed: true)
  }

  /// Cuts off what stands in the segment's file behind its last frame.
  func trim() {
    guard let offset = segment?.offset else { return }
    try? file?.truncate(to: offset)
  }

  /// Whether frames wait that could not be written.
  var hasBacklog: Bool { held.entries.count > written.entries }
  var hasUnsynchronized: Bool { written.entries > 0 }
  /// The first sequence number of the segment that is being written.
  var firstOfSegment: UInt64? { segment?.header.first }
  /// Records that are kept because they are not on disk.
  var depth: Int { held.entries.count }

  mutating func forgetCuts() { cuts = [] }

  /// What comes is kept so; what is there is looked at by it.
  mutating func set(_ limits: JournalLimits) {
    configuration.segmentSize = limits.segmentSize
    configuration.retention = limits.retention
    looksForOld = true
  }

  /// Whether an epoch has begun that time will end; boottime nanoseconds when.
  var epochEnd: UInt64? { sealer.records > 0 ? sealer.began &+ Sealer.epochDuration : nil }

  /// Writes what was held back and `batch`; syncs if somebody waits for a record, or `synchronize` is set.
  ///
  /// On failure those that somebody waits for are withdrawn: they end as `failed`, a gap record takes their place, and
  /// the others are held for the next call.
  mutating func commit(_ batch: consuming Batch, synchronize: Bool, now: AuditTime) -> Outcome {
    var outcome = Outcome()
    if held.entries.isEmpty { held = batch } else { held.append(batch) }
    do {
      while hasBacklog { try writeRun(now: now, &outcome) }
      if synchronize || held.entries.contains(where: { $0.token != nil }) || written.bytes >= configuration.unsynced {
        try settle(&outcome)
      }
    } catch {
      outcome.errno = error.errno
      // What is whole in the file still counts, if it reaches the disk.
      do { try settle(&outcome) } catch { outcome.errno = error.errno }
      withdraw(errno: outcome.errno ?? error.errno, now: now, &outcome)
    }
    return outcome
  }

  func check(_ step: JournalStep) throws(SystemError) { try step.check(fault) }

  /// Writes as many held frames as fit into the segment, at least one; begins a new segment where none fits.
  private mutating func writeRun(now: AuditTime, _ outcome: inout Outcome) throws(SystemError) {
    let first = held.entries[written.entries]
    if let segment {
      if segment.offset > UInt64(SegmentHeader.length),
        segment.offset + UInt64(first.length) > configuration.segmentSize || isAged(segment.header, before: first, now)
      {
        try settle(&outcome)
        leaveSegment()
      }
    }
    if segment == nil { try begin(first: held.entries[written.entries].sequence, now: now) }
    guard let current = segment else { return }
    if current.isUncut {
      try check(.truncate)
      try file?.truncate(to: current.offset)
      segment?.isUncut = false
    }

    let before = sealer
    var count = 0
    var length = 0
    for entry in held.entries[written.entries...] {
      let end = current.offset + UInt64(length + entry.length)
      if count > 0, end > configuration.segmentSize { break }
      let start = written.bytes + length
      sealer.seal(
        &held.bytes, start..<start + entry.length, marker: current.header.marker, at: now.boottime)
      count += 1
      length += entry.length
    }
    var done = 0
    do {
      while done < length {
        done += try write(written.bytes + done..<written.bytes + length, at: current.offset + UInt64(done))
      }
    } catch {
      count = 0
      length = 0
      sealer = before
      for entry in held.entries[written.entries...] {
        guard length + entry.length <= done else { break }
        // Again, with the same result: the chain ends at the last frame that is whole in the file.
        let start = written.bytes + length
        sealer.seal(
          &held.bytes, start..<start + entry.length, marker: current.header.marker, at: now.boottime)
        count += 1
        length += entry.length
      }
      advance(count, length, &outcome)
      if done > length { cutTail(lost: UInt64(done - length), error.errno) }
      throw error
    }
    advance(count, length, &outcome)
  }

  /// Writes a part of `held` to the segment; returns how many bytes.
  private borrowing func write(_ range: Range<Int>, at offset: UInt64) throws(SystemError) -> Int {
    try check(.write)
    return try file?.write(held.bytes.span.extracting(range), at: offset) ?? 0
  }

  private mutating func leaveSegment() {
    file = nil
    segment = nil
  }

  private mutating func advance(_ count: Int, _ length: Int, _ outcome: inout Outcome) {
    segment?.offset += UInt64(length)
    written.entries += count
    written.bytes += length
    outcome.appended += UInt64(count)
  }

  /// Cuts a part of a frame off the segment; what cannot be cut is overwritten by the next frame.
  private mutating func cutTail(lost: UInt64, _ errno: Int32) {
    guard let current = segment else { return }
    if (try? check(.truncate)) != nil { try? file?.truncate(to: current.offset) }
    note(Repair(segment: current.header.first, offset: current.offset, lost: lost), errno)
  }

  private mutating func note(_ repair: Repair, _ errno: Int32) {
    guard let index = cuts.firstIndex(where: { $0.repair.segment == repair.segment }) else {
      return cuts.append((repair, errno))
    }
    cuts[index].repair.offset = min(cuts[index].repair.offset, repair.offset)
    cuts[index].repair.lost += repair.lost
    cuts[index].errno = errno
  }

  /// Makes what is written durable.
  ///
  /// After a failed sync the kernel may have dropped the data and say nothing the next time (fsync(2), errors), so
  /// the segment is cut back to what is known to be on disk and left; the frames go to a new one. Where the cut fails,
  /// the new segment's name supersedes the old one's tail for every reader. One that has no record on disk gives its name
  /// to the new one, which takes the chain up before it.
  ///
  /// An earlier process's head is the exception: its key is gone, so the chain can only go on behind it, and a segment
  /// that went on behind a head of its own name could not be verified. There the frames are written again where they were.
  private mutating func settle(_ outcome: inout Outcome) throws(SystemError) {
    guard hasUnsynchronized, let current = segment else { return }
    do {
      try check(.synchronize)
      try file?.synchronize()
    } catch {
      if (try? check(.truncate)) != nil { try? file?.truncate(to: current.durable) }
      note(
        Repair(segment: current.header.first, offset: current.durable, lost: current.offset - current.durable),
        error.errno)
      outcome.appended -= min(outcome.appended, UInt64(written.entries))
      written = (0, 0)
      sealer = sealed
      if current.isEmpty, current.isResumed {
        segment?.offset = current.durable
        segment?.isUncut = true
        throw error
      }
      if current.isEmpty { try? directory.remove(SegmentName.name(first: current.header.first)) }
      leaveSegment()
      throw error
    }
    segment?.durable = current.offset
    sealed = sealer
    for entry in held.entries[..<written.entries] {
      if let token = entry.token {
        outcome.completions.append(JournalCompletion(token: token, sequence: entry.sequence, outcome: .durable))
      }
      outcome.durable = entry.last
    }
    held.removeFirst(entries: written.entries, bytes: written.bytes)
    written = (0, 0)
  }

  private mutating func begin(first: UInt64, now: AuditTime) throws(SystemError) {
    try check(.create)
    while let name = unsynchronized.last {
      try directory.synchronize(name)
      unsynchronized.removeLast()
    }
    var next = sealer
    let header = next.head(marker: UInt32.random(in: 0...UInt32.max), first: first, created: now.wall)
    let name = SegmentName.name(first: first)
    let file = try createSegment(name)
    do {
      var done = 0
      let bytes = header.encoded()
      while done < bytes.count {
        done += try file.write(bytes.span.extracting(done..<bytes.count), at: UInt64(done))
      }
      // The name has to be on disk before any record in it is called durable.
      try directory.synchronize()
    } catch {
      try? directory.remove(name)
      throw error
    }
    let length = UInt64(SegmentHeader.length)
    self.file = consume file
    segment = Segment(header: header, offset: length, durable: length)
    sealer = next
    looksForOld = true
  }

  /// A file of that name can only be left over from a failure: nothing in it was ever acknowledged, as its first
  /// sequence number is not on disk yet.
  private func createSegment(_ name: String) throws(SystemError) -> JournalFile {
    do {
      return try directory.create(name)
    } catch {
      guard error.errno == JournalFile.nameTaken else { throw error }
      try directory.remove(name)
      return try directory.create(name)
    }
  }

  /// Ends those that somebody waits for as failed, and what exceeds the capacity as dropped, leaving gap records.
  private mutating func withdraw(errno: Int32, now: AuditTime, _ outcome: inout Outcome) {
    var kept = Batch()
    var open: Gap?
    var start = 0
    for (index, entry) in held.entries.enumerated() {
      let range = start..<start + entry.length
      start = range.upperBound
      let isWritten = index < written.entries
      let isExcess = !entry.isOwn && kept.entries.count >= configuration.capacity
      if !isWritten, entry.gap != nil || entry.token != nil || isExcess {
        var gap = entry.gap ?? Gap(first: entry.sequence, last: entry.sequence, counts: [])
        if entry.gap == nil {
          gap.add(entry.reason, 1)
          outcome.dropped += 1
        }
        if let token = entry.token {
          outcome.completions.append(
            JournalCompletion(token: token, sequence: entry.sequence, outcome: .failed(errno: errno)))
        }
        if open == nil { open = gap } else { open?.extend(by: gap) }
        continue
      }
      if let gap = open {
        kept.append(AuditRecord(gap: gap, time: now, boot: configuration.boot))
        open = nil
      }
      kept.bytes.append(contentsOf: held.bytes[range])
      kept.entries.append(entry)
    }
    if let gap = open { kept.append(AuditRecord(gap: gap, time: now, boot: configuration.boot)) }
    held = kept
  }
}

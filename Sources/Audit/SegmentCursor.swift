import Linux

/// Walks over the frames of one segment, forward, passing over damage to the next whole frame.
struct SegmentCursor: ~Copyable {
  enum Step {
    /// A whole frame: its bytes.
    case frame([UInt8])
    /// Bytes that are no frame, with a whole frame behind them.
    case damaged(offset: UInt64, length: UInt64)
    /// Nothing more that is whole; what is left may be a record that is being written.
    case end(left: UInt64)
  }

  private static let chunk = 256 << 10
  /// While a place is looked for: most of what is read around it is thrown away.
  private static let shortChunk = 16 << 10

  private let file: JournalFile
  let header: SegmentHeader
  private var buffer: [UInt8] = []
  /// Where in the buffer the next frame begins.
  private var position = 0
  /// The file offset of the buffer's first byte.
  private var base: UInt64
  private var chunk = SegmentCursor.chunk
  /// Bytes that were gone over: frames, damage, what was looked at to find a place; what was gone over again counts again.
  private(set) var walked: UInt64 = 0
  /// What need not be gone over; nil: nobody knows.
  private var known: (damage: KnownDamage, file: FileVersion)?

  /// nil: the file does not begin with a segment's head.
  init?(_ file: consuming JournalFile, from offset: UInt64 = UInt64(SegmentHeader.length)) throws(SystemError) {
    var head: [UInt8] = []
    _ = try file.read(into: &head, count: SegmentHeader.length, at: 0)
    guard let header = SegmentHeader(decoding: head.span) else { return nil }
    self.file = file
    self.header = header
    base = offset
  }

  /// Passes over damage that is known, and makes known what it finds. Only for a segment that is not written to any more.
  mutating func use(_ damage: KnownDamage) throws(SystemError) { known = (damage, try file.version()) }

  /// The file offset of the next frame.
  var offset: UInt64 { base + UInt64(position) }

  /// Bytes of the file now.
  func size() throws(SystemError) -> UInt64 { try file.size() }

  /// Whether the file has no name any more.
  func isRemoved() throws(SystemError) -> Bool { try file.isRemoved() }

  /// Forgets what was read ahead and goes on at `offset`.
  mutating func seek(to offset: UInt64) {
    buffer.removeAll(keepingCapacity: true)
    position = 0
    base = offset
  }

  /// Goes to the last whole frame whose number is not greater than `sequence`; where there is none, to the segment's start.
  ///
  /// Numbers grow from frame to frame, so the file is halved until little is left, and not walked over: anybody may ask
  /// the broker for any number.
  mutating func seek(toSequence sequence: UInt64) throws(SystemError) {
    chunk = SegmentCursor.shortChunk
    defer { chunk = SegmentCursor.chunk }
    var low = UInt64(SegmentHeader.length)
    var high = try file.size()
    while high > low, high - low > UInt64(2 * SegmentCursor.shortChunk) {
      let middle = low + (high - low) / 2
      if try findFrame(from: middle, before: high), Frame.sequence(buffer.span, at: position) <= sequence {
        low = offset
      } else {
        high = middle
      }
    }
    var place = low
    while low < high, try findFrame(from: low, before: high), Frame.sequence(buffer.span, at: position) <= sequence {
      place = offset
      low = offset + UInt64(try frameLength() ?? 1)
      walked += low - place
    }
    seek(to: place)
  }

  /// Goes to the first whole frame at or behind `start`; false: there is none before `end`.
  mutating func findFrame(from start: UInt64, before end: UInt64 = .max) throws(SystemError) -> Bool {
    // Most often it is in what has been read.
    if start >= offset, start - base <= UInt64(buffer.count) { position = Int(start - base) } else { seek(to: start) }
    var skipped: UInt64 = 0
    var stretch = known.flatMap { $0.damage.stretch(of: $0.file, endingBehind: start) }
    defer { walked += offset - start - skipped }
    while offset < end {
      if let damage = stretch, offset >= damage.lowerBound {
        // Behind it as much is read as is read at once.
        skipped += damage.upperBound - offset
        walked += min(damage.upperBound - offset, UInt64(chunk))
        seek(to: damage.upperBound)
        stretch = known.flatMap { $0.damage.stretch(of: $0.file, endingBehind: damage.upperBound) }
        continue
      }
      if try frameLength() != nil {
        note(start..<offset)
        return true
      }
      guard buffer.count - position >= Frame.headLength else {
        note(start..<base + UInt64(buffer.count))
        return false
      }
      position += 1
    }
    note(start..<offset)
    return false
  }

  /// Takes note that no frame begins there.
  private func note(_ stretch: Range<UInt64>) {
    if let known { known.damage.note(stretch, of: known.file) }
  }

  /// The next frame. After `end` it may be called again, for what has been written since.
  mutating func next() throws(SystemError) -> Step {
    if let length = try frameLength() {
      let frame = Array(buffer[position..<position + length])
      position += length
      walked += UInt64(length)
      return .frame(frame)
    }
    guard buffer.count > position else { return .end(left: 0) }
    let start = offset
    if try findFrame(from: start + 1) { return .damaged(offset: start, length: offset - start) }
    let left = base + UInt64(buffer.count) - start
    walked += UInt64(buffer.count - position)
    // Read again next time: a writer may complete it, or cut it and write something else.
    seek(to: start)
    return .end(left: left)
  }

  /// The number of the whole frame at the position; nil: there is none.
  mutating func nextSequence() throws(SystemError) -> UInt64? {
    try frameLength() == nil ? nil : Frame.sequence(buffer.span, at: position)
  }

  /// The length of the whole frame at the position, reading as much as it needs.
  private mutating func frameLength() throws(SystemError) -> Int? {
    if buffer.count - position < Frame.headLength { try fill(beyond: Frame.headLength) }
    guard let claimed = Frame.claimedLength(buffer.span, at: position, marker: header.marker) else { return nil }
    if buffer.count - position < claimed { try fill(beyond: claimed) }
    return Frame.length(buffer.span, at: position, marker: header.marker)
  }

  /// Drops what was consumed and reads until `wanted` bytes lie at the position or the file ends.
  private mutating func fill(beyond wanted: Int) throws(SystemError) {
    if position > 0 {
      buffer.removeFirst(position)
      base += UInt64(position)
      position = 0
    }
    while buffer.count < wanted {
      let got = try file.read(into: &buffer, count: chunk, at: base + UInt64(buffer.count))
      if got == 0 { return }
    }
  }
}

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

  private let file: JournalFile
  let header: SegmentHeader
  private var buffer: [UInt8] = []
  /// Where in the buffer the next frame begins.
  private var position = 0
  /// The file offset of the buffer's first byte.
  private var base: UInt64

  /// nil: the file does not begin with a segment's head.
  init?(_ file: consuming JournalFile, from offset: UInt64 = UInt64(SegmentHeader.length)) throws(SystemError) {
    var head: [UInt8] = []
    _ = try file.read(into: &head, count: SegmentHeader.length, at: 0)
    guard let header = SegmentHeader(decoding: head.span) else { return nil }
    self.file = file
    self.header = header
    base = offset
  }

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

  /// The next frame. After `end` it may be called again, for what has been written since.
  mutating func next() throws(SystemError) -> Step {
    if let length = try frameLength(at: position) {
      let frame = Array(buffer[position..<position + length])
      position += length
      return .frame(frame)
    }
    try fill(beyond: .max)
    let left = buffer.count - position
    guard left > 0 else { return .end(left: 0) }
    var candidate = position + 1
    while candidate + Frame.minimumLength <= buffer.count {
      if Frame.length(buffer.span, at: candidate, marker: header.marker) != nil {
        let damage = Step.damaged(offset: offset, length: UInt64(candidate - position))
        position = candidate
        return damage
      }
      candidate += 1
    }
    // Read again next time: a writer may complete it, or cut it and write something else.
    let end = Step.end(left: UInt64(left))
    seek(to: offset)
    return end
  }

  /// The length of the whole frame at a buffer index, reading as much as it needs.
  private mutating func frameLength(at index: Int) throws(SystemError) -> Int? {
    if buffer.count - index < Frame.headLength { try fill(beyond: Frame.headLength) }
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
      let got = try file.read(into: &buffer, count: SegmentCursor.chunk, at: base + UInt64(buffer.count))
      if got == 0 { return }
    }
  }
}

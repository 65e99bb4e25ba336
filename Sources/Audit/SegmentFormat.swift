import Chain

/// The head of a segment file: 128 bytes.
///
///     0   8  "POSTERNJ"
///     8   2  format version, 2
///     10  2  length of the head, 128
///     12  4  marker: random, begins every record of this segment
///     16  8  first sequence number
///     24  8  when it was created: wall nanoseconds
///     32  16 source: which journal this is
///     48  16 chain: which first key its tags come from
///     64  8  epoch of the head's own tag
///     72  32 hash of the segment before (`SegmentHash`), zero where that is not known
///     104 16 tag: of bytes 0..<104, the link that the first record's tag is chained to
///     120 4  flags, zero
///     124 4  CRC32C of bytes 0..<124
///
/// Every number is little-endian. The marker is what a reader looks for behind damage; it is random because names in
/// records are chosen by the ones that are audited, who could otherwise put a whole record of their own into a name.
struct SegmentHeader: Equatable {
  static let length = 128
  static let version: UInt16 = 2
  /// What its tag speaks of.
  static let tagged = 0..<104
  private static let magic = Array("POSTERNJ".utf8)

  var marker: UInt32
  var first: UInt64
  var created: UInt64
  var source: JournalID
  var chain: JournalID
  var epoch: UInt64
  /// `RecordDigest.length` bytes.
  var before: [UInt8]
  /// `ChainKey.tagLength` bytes.
  var tag: [UInt8]

  func encoded() -> [UInt8] {
    var bytes = SegmentHeader.magic
    bytes.appendLittleEndian(SegmentHeader.version)
    bytes.appendLittleEndian(UInt16(SegmentHeader.length))
    bytes.appendLittleEndian(marker)
    bytes.appendLittleEndian(first)
    bytes.appendLittleEndian(created)
    bytes.append(contentsOf: source.bytes)
    bytes.append(contentsOf: chain.bytes)
    bytes.appendLittleEndian(epoch)
    bytes.append(contentsOf: before)
    bytes.append(contentsOf: tag)
    bytes.appendLittleEndian(UInt32(0))
    bytes.appendLittleEndian(CRC32C.checksum(bytes.span, 0..<124))
    return bytes
  }

  /// What the head's tag and the segment's hash take up.
  var digest: [UInt8] {
    var digest = RecordDigest()
    digest.add(encoded(), SegmentHeader.tagged)
    return digest.value
  }

  /// nil: not the head of a segment of this version.
  init?(decoding bytes: Span<UInt8>) {
    guard bytes.count >= SegmentHeader.length else { return nil }
    for (index, byte) in SegmentHeader.magic.enumerated() where bytes[index] != byte { return nil }
    guard littleEndian32(bytes, at: 8) == UInt32(SegmentHeader.version) | UInt32(SegmentHeader.length) << 16,
      littleEndian64(bytes, at: 16) < Frame.sequenceLimit, littleEndian64(bytes, at: 64) < Frame.sequenceLimit,
      littleEndian32(bytes, at: 120) == 0, littleEndian32(bytes, at: 124) == CRC32C.checksum(bytes, 0..<124)
    else { return nil }
    marker = littleEndian32(bytes, at: 12)
    first = littleEndian64(bytes, at: 16)
    created = littleEndian64(bytes, at: 24)
    source = JournalID(bytes, at: 32)
    chain = JournalID(bytes, at: 48)
    epoch = littleEndian64(bytes, at: 64)
    before = copy(bytes, 72..<104)
    tag = copy(bytes, 104..<120)
  }

  /// A head without its tag.
  init(
    marker: UInt32, first: UInt64, created: UInt64, source: JournalID, chain: JournalID, epoch: UInt64, before: [UInt8]
  ) {
    self.marker = marker
    self.first = first
    self.created = created
    self.source = source
    self.chain = chain
    self.epoch = epoch
    self.before = before
    tag = [UInt8](repeating: 0, count: ChainKey.tagLength)
  }
}

/// What surrounds a record's body.
///
///     0  4  the segment's marker
///     4  4  CRC32C of bytes 8..<length
///     8  4  length of all of it
///     12 1  record version, 1
///     13 1  length of the head: 48 in a segment, 24 in messages, which have no tag
///     14 1  kind
///     15 1  flags: bit 0 a text was cut, others zero
///     16 8  sequence number
///     24 8  epoch of the tag
///     32 16 tag: over the SHA-256 of bytes 8..<32 and 48..<length, and over the tag before
///     .. .. body
///     -4 4  length again, for reading backwards
enum Frame {
  static let headLength = 24
  static let sealedHeadLength = 48
  static let trailerLength = 4
  static let version: UInt8 = 1
  /// Head, the fixed part of the body, trailer.
  static let minimumLength = headLength + 40 + trailerLength
  /// More than the longest record there can be: six texts of 4,096 bytes and the numbers.
  static let maximumLength = 1 << 16
  static let flagTruncated: UInt8 = 1
  /// No record has this number or a higher one: a million a second would take 146,000 years. A frame or a file that says
  /// otherwise was made to make sums overflow.
  static let sequenceLimit: UInt64 = 1 << 62

  /// The length of the whole, undamaged frame at the start of `bytes`, or nil.
  static func length(_ bytes: Span<UInt8>, at offset: Int, marker: UInt32) -> Int? {
    guard let length = claimedLength(bytes, at: offset, marker: marker), bytes.count - offset >= length,
      littleEndian32(bytes, at: offset + length - trailerLength) == UInt32(length),
      sequence(bytes, at: offset) < sequenceLimit,
      littleEndian32(bytes, at: offset + 4) == CRC32C.checksum(bytes, offset + 8..<offset + length)
    else { return nil }
    return length
  }

  /// The length that a frame's head claims, if the head is there and can be one.
  static func claimedLength(_ bytes: Span<UInt8>, at offset: Int, marker: UInt32) -> Int? {
    guard bytes.count - offset >= headLength, littleEndian32(bytes, at: offset) == marker else { return nil }
    let length = Int(littleEndian32(bytes, at: offset + 8))
    guard length >= minimumLength, length <= maximumLength else { return nil }
    return length
  }

  /// Puts the marker and the checksum into the frame at `range`.
  static func protect(_ bytes: inout [UInt8], _ range: Range<Int>, marker: UInt32) {
    let checksum = CRC32C.checksum(bytes.span, range.lowerBound + 8..<range.upperBound)
    bytes.putLittleEndian32(marker, at: range.lowerBound)
    bytes.putLittleEndian32(checksum, at: range.lowerBound + 4)
  }

  static func sequence(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 { littleEndian64(bytes, at: offset + 16) }

  /// Whether the frame at `offset` has room for an epoch and a tag.
  static func isSealed(_ bytes: Span<UInt8>, at offset: Int, length: Int) -> Bool {
    bytes[offset + 13] >= sealedHeadLength && length >= sealedHeadLength + 40 + trailerLength
  }

  static func epoch(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 { littleEndian64(bytes, at: offset + 24) }

  static func tag(_ bytes: Span<UInt8>, at offset: Int) -> [UInt8] { copy(bytes, offset + 32..<offset + 48) }

  /// What a sealed frame's tag speaks of: all of it but the tag, and the marker and checksum, which follow from where
  /// it stands.
  static func digest(_ bytes: [UInt8], _ range: Range<Int>) -> [UInt8] {
    var digest = RecordDigest()
    digest.add(bytes, range.lowerBound + 8..<range.lowerBound + 32)
    digest.add(bytes, range.lowerBound + sealedHeadLength..<range.upperBound)
    return digest.value
  }
}

/// A part of `bytes` as an array.
func copy(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
  var part: [UInt8] = []
  part.reserveCapacity(range.count)
  for index in range { part.append(bytes[index]) }
  return part
}

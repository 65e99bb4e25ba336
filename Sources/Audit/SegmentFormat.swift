/// The head of a segment file: 64 bytes.
///
///     0  8  "POSTERNJ"
///     8  2  format version, 1
///     10 2  length of the head, 64
///     12 4  marker: random, begins every record of this segment
///     16 8  first sequence number
///     24 8  when it was created: wall nanoseconds
///     32 24 zero (room for the chain's key epoch)
///     56 4  flags, zero
///     60 4  CRC32C of bytes 0..<60
///
/// Every number is little-endian. The marker is what a reader looks for behind damage; it is random because names in
/// records are chosen by the ones that are audited, who could otherwise put a whole record of their own into a name.
struct SegmentHeader: Equatable {
  static let length = 64
  static let version: UInt16 = 1
  private static let magic = Array("POSTERNJ".utf8)

  var marker: UInt32
  var first: UInt64
  var created: UInt64

  func encoded() -> [UInt8] {
    var bytes = SegmentHeader.magic
    bytes.appendLittleEndian(SegmentHeader.version)
    bytes.appendLittleEndian(UInt16(SegmentHeader.length))
    bytes.appendLittleEndian(marker)
    bytes.appendLittleEndian(first)
    bytes.appendLittleEndian(created)
    bytes.append(contentsOf: repeatElement(0, count: 28))
    bytes.appendLittleEndian(CRC32C.checksum(bytes.span, 0..<60))
    return bytes
  }

  /// nil: not the head of a segment of this version.
  init?(decoding bytes: Span<UInt8>) {
    guard bytes.count >= SegmentHeader.length else { return nil }
    for (index, byte) in SegmentHeader.magic.enumerated() where bytes[index] != byte { return nil }
    guard littleEndian32(bytes, at: 8) == UInt32(SegmentHeader.version) | UInt32(SegmentHeader.length) << 16,
      littleEndian32(bytes, at: 60) == CRC32C.checksum(bytes, 0..<60)
    else { return nil }
    marker = littleEndian32(bytes, at: 12)
    first = littleEndian64(bytes, at: 16)
    created = littleEndian64(bytes, at: 24)
  }

  init(marker: UInt32, first: UInt64, created: UInt64) {
    self.marker = marker
    self.first = first
    self.created = created
  }
}

/// What surrounds a record's body in a segment.
///
///     0  4  the segment's marker
///     4  4  CRC32C of bytes 8..<length
///     8  4  length of all of it
///     12 1  record version, 1
///     13 1  length of the head, 24 (a chain's tag will make it longer; the body begins there)
///     14 1  kind
///     15 1  flags: bit 0 a text was cut, others zero
///     16 8  sequence number
///     .. .. body
///     -4 4  length again, for reading backwards
enum Frame {
  static let headLength = 24
  static let trailerLength = 4
  static let version: UInt8 = 1
  /// Head, the fixed part of the body, trailer.
  static let minimumLength = headLength + 40 + trailerLength
  /// More than the longest record there can be: six texts of 4,096 bytes and the numbers.
  static let maximumLength = 1 << 16
  static let flagTruncated: UInt8 = 1

  /// The length of the whole, undamaged frame at the start of `bytes`, or nil.
  static func length(_ bytes: Span<UInt8>, at offset: Int, marker: UInt32) -> Int? {
    guard let length = claimedLength(bytes, at: offset, marker: marker), bytes.count - offset >= length,
      littleEndian32(bytes, at: offset + length - trailerLength) == UInt32(length),
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
  static func seal(_ bytes: inout [UInt8], _ range: Range<Int>, marker: UInt32) {
    let checksum = CRC32C.checksum(bytes.span, range.lowerBound + 8..<range.upperBound)
    bytes.putLittleEndian32(marker, at: range.lowerBound)
    bytes.putLittleEndian32(checksum, at: range.lowerBound + 4)
  }

  static func sequence(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 { littleEndian64(bytes, at: offset + 16) }
}

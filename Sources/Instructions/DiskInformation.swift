/// The answer to `info`: 32 bytes, all numbers little-endian.
///
/// | bytes | what |
/// |---|---|
/// | 0-7 | size in bytes of the range that the grant covers, never of the device behind it |
/// | 8-11 | block size: discards on block devices are multiples of it; 1 for image files |
/// | 12-15 | physical block size: what is best written whole |
/// | 16-19 | flags: 1 read-only, 2 rotational, 4 block device (else an image file) |
/// | 20-31 | 0 |
public struct DiskInformation: Sendable, Hashable {
  public struct Flags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let readOnly = Flags(rawValue: 1)
    public static let rotational = Flags(rawValue: 2)
    public static let blockDevice = Flags(rawValue: 4)
  }

  public static let byteCount = 32

  public var size: UInt64
  public var blockSize: UInt32
  public var physicalBlockSize: UInt32
  public var flags: Flags

  public init(size: UInt64, blockSize: UInt32, physicalBlockSize: UInt32, flags: Flags) {
    self.size = size
    self.blockSize = blockSize
    self.physicalBlockSize = physicalBlockSize
    self.flags = flags
  }

  /// nil where there are fewer than 32 bytes.
  public init?(_ bytes: Span<UInt8>) {
    guard bytes.count >= Self.byteCount else { return nil }
    func number(at offset: Int, bytes count: Int) -> UInt64 {
      var value: UInt64 = 0
      for index in 0..<count { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
      return value
    }
    size = number(at: 0, bytes: 8)
    blockSize = UInt32(number(at: 8, bytes: 4))
    physicalBlockSize = UInt32(number(at: 12, bytes: 4))
    flags = Flags(rawValue: UInt32(number(at: 16, bytes: 4)))
  }

  /// The 32 bytes.
  public var bytes: [UInt8] {
    let words = [size, UInt64(blockSize) | UInt64(physicalBlockSize) << 32, UInt64(flags.rawValue), 0]
    return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
  }
}

/// The Castagnoli cyclic redundancy check of RFC 3720 section 12.1 (iSCSI), whose appendix B.4 has the test vectors.
///
/// Finds torn and rotten records; it is no protection against forgery.
public enum CRC32C {
  /// The polynomial 0x1EDC6F41, bits reflected.
  private static let polynomial: UInt32 = 0x82F6_3B78

  /// Eight tables of 256: table k, index b is the remainder of byte b followed by k zero bytes.
  private static let table: [UInt32] = {
    var table = [UInt32](repeating: 0, count: 8 * 256)
    for index in 0..<256 {
      var value = UInt32(index)
      for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ polynomial }
      table[index] = value
    }
    for index in 256..<table.count {
      let previous = table[index - 256]
      table[index] = previous >> 8 ^ table[Int(previous & 255)]
    }
    return table
  }()

  /// The checksum of `bytes[range]`; the range lies within.
  public static func checksum(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt32 {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range within the bytes")
    let table = table.span
    var crc = ~UInt32(0)
    var index = range.lowerBound
    while range.upperBound - index >= 8 {
      let low = crc ^ littleEndian32(bytes, at: index)
      let high = littleEndian32(bytes, at: index + 4)
      crc =
        table[7 * 256 + Int(low & 255)] ^ table[6 * 256 + Int(low >> 8 & 255)]
        ^ table[5 * 256 + Int(low >> 16 & 255)] ^ table[4 * 256 + Int(low >> 24)]
        ^ table[3 * 256 + Int(high & 255)] ^ table[2 * 256 + Int(high >> 8 & 255)]
        ^ table[256 + Int(high >> 16 & 255)] ^ table[Int(high >> 24)]
      index += 8
    }
    while index < range.upperBound {
      crc = crc >> 8 ^ table[Int((crc ^ UInt32(bytes[index])) & 255)]
      index += 1
    }
    return ~crc
  }
}

/// The 32-bit number at `offset`, which has four bytes.
@inline(__always)
func littleEndian32(_ bytes: Span<UInt8>, at offset: Int) -> UInt32 {
  UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
    | UInt32(bytes[offset + 3]) << 24
}

/// The 64-bit number at `offset`, which has eight bytes.
@inline(__always)
func littleEndian64(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 {
  UInt64(littleEndian32(bytes, at: offset)) | UInt64(littleEndian32(bytes, at: offset + 4)) << 32
}

extension [UInt8] {
  @inline(__always)
  mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
    var rest = value
    for _ in 0..<(type(of: value).bitWidth / 8) {
      append(UInt8(truncatingIfNeeded: rest))
      if type(of: value).bitWidth > 8 { rest >>= 8 }
    }
  }

  /// Overwrites the four bytes at `offset`.
  @inline(__always)
  mutating func putLittleEndian32(_ value: UInt32, at offset: Int) {
    for byte in 0..<4 { self[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt32(8 * byte)) }
  }
}

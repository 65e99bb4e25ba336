// RawSpan has no safe loads: Span<UInt8> is read byte by byte, which the optimizer joins to whole loads
// wherever it can see that the span is long enough.
extension Span where Element == UInt8 {
  @inline(__always) func word16(_ offset: Int) -> UInt16 {
    UInt16(self[offset]) | UInt16(self[offset &+ 1]) &<< 8
  }

  @inline(__always) func word32(_ offset: Int) -> UInt32 {
    UInt32(self[offset]) | UInt32(self[offset &+ 1]) &<< 8 | UInt32(self[offset &+ 2]) &<< 16
      | UInt32(self[offset &+ 3]) &<< 24
  }

  @inline(__always) func word64(_ offset: Int) -> UInt64 {
    let low = UInt64(word32(offset))
    let high = UInt64(word32(offset &+ 4))
    return low | high &<< 32
  }
}

extension MutableRawSpan {
  @inline(__always) mutating func store(_ value: some FixedWidthInteger & BitwiseCopyable, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: type(of: value))
  }
}

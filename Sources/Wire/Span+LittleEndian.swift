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

// MutableRawSpan has safe stores, but a MutableSpan<UInt8> becomes one only by an unsafe property.
extension MutableSpan where Element == UInt8 {
  @inline(__always) mutating func store(_ value: UInt16, at offset: Int) {
    self[offset] = UInt8(truncatingIfNeeded: value)
    self[offset &+ 1] = UInt8(truncatingIfNeeded: value &>> 8)
  }

  @inline(__always) mutating func store(_ value: UInt32, at offset: Int) {
    store(UInt16(truncatingIfNeeded: value), at: offset)
    store(UInt16(truncatingIfNeeded: value &>> 16), at: offset &+ 2)
  }

  @inline(__always) mutating func store(_ value: UInt64, at offset: Int) {
    store(UInt32(truncatingIfNeeded: value), at: offset)
    store(UInt32(truncatingIfNeeded: value &>> 32), at: offset &+ 4)
  }
}

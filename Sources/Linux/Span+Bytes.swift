import Glibc

extension MutableSpan<UInt8> {
  /// Copies `source` to `offset`; what does not fit traps.
  public mutating func copy(_ source: Span<UInt8>, to offset: Int) {
    precondition(offset >= 0 && source.count <= count - offset)
    unsafe withUnsafeMutableBufferPointer { target in
      // SAFETY: the part that is written lies inside, as just checked; a mutable span overlaps no other.
      unsafe source.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        unsafe memcpy(to + offset, from, source.count)
      }
    }
  }
}

extension [UInt8] {
  /// A copy.
  public init(_ span: Span<UInt8>) {
    // SAFETY: the pointer is used within the closure only.
    self = unsafe span.withUnsafeBufferPointer { unsafe Array($0) }
  }
}

public struct ByteRange: Sendable, Hashable {
  public var offset: UInt64
  public var length: UInt64

  public init(offset: UInt64, length: UInt64) {
    self.offset = offset
    self.length = length
  }
}

extension ByteRange {
  /// The first byte after it; nil: beyond 64 bits.
  public var end: UInt64? {
    let (end, overflow) = offset.addingReportingOverflow(length)
    return overflow ? nil : end
  }

  /// Whether every byte of `other` is in this range.
  public func contains(_ other: ByteRange) -> Bool {
    guard let end, let otherEnd = other.end else { return false }
    return other.offset >= offset && otherEnd <= end
  }
}

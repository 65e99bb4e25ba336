extension RawSpan {
  /// A copy of the bytes.
  public var copiedBytes: [UInt8] {
    // SAFETY: the bytes are copied while the span lives.
    unsafe withUnsafeBytes { unsafe Array($0) }
  }
}

extension [UInt8] {
  /// Runs `body` on the bytes where they are.
  public func withRawSpan<Result: ~Copyable, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result)
    throws(Failure) -> Result
  {
    // SAFETY: a UInt8 has no padding.
    try body(unsafe span.bytes)
  }
}

extension RawSpan {
  /// A copy of the bytes.
  public var copiedBytes: [UInt8] {
    // SAFETY: the bytes are copied while the span lives.
    unsafe withUnsafeBytes { unsafe Array($0) }
  }
}

/// Runs `body` on an empty span with room for `capacity` bytes; `bytes` becomes what it appended.
public func collectingBytes<Result: ~Copyable, Failure: Error>(
  capacity: Int, into bytes: inout [UInt8], _ body: (inout OutputRawSpan) throws(Failure) -> Result
) throws(Failure) -> Result {
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 16)
  defer { unsafe memory.deallocate() }
  // SAFETY: the memory outlives the span.
  var output = unsafe OutputRawSpan(buffer: memory, initializedCount: 0)
  let result = try body(&output)
  bytes = output.bytes.copiedBytes
  return result
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

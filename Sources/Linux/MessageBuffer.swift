/// Memory of a fixed capacity that messages are received into and composed in; allocated once, freed with its owner.
///
/// Inlinable, because every message passes through its closures and the modules that pass them are others.
@safe public struct MessageBuffer: ~Copyable {
  @usableFromInline let storage: UnsafeMutableRawBufferPointer
  /// How many bytes from the start are valid.
  @inlinable public var count: Int { valid }

  @usableFromInline var valid: Int

  public init(capacity: Int) {
    // Zeroed, so that no byte is ever read uninitialized.
    unsafe storage = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 64)
    // SAFETY: the memory was just allocated with exactly this size.
    unsafe storage.initializeMemory(as: UInt8.self, repeating: 0)
    valid = 0
  }

  deinit {
    // SAFETY: allocated in init, never given away.
    unsafe storage.deallocate()
  }

  // SAFETY: the count is a value; the memory is not touched.
  @inlinable public var capacity: Int { unsafe storage.count }

  @inlinable public mutating func clear() { valid = 0 }

  /// Keeps only the first `newCount` bytes.
  @inlinable public mutating func truncate(to newCount: Int) {
    precondition(newCount >= 0 && newCount <= count)
    valid = newCount
  }

  /// Calls `body` with the valid bytes.
  @inlinable
  public borrowing func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // SAFETY: the storage is initialized and lives as long as self, which is borrowed during the call.
    let valid = unsafe UnsafeRawBufferPointer(rebasing: storage[0..<count])
    return try body(unsafe valid.bytes)
  }

  /// Calls `body` with the valid bytes as elements.
  @inlinable
  public borrowing func withSpan<Result: ~Copyable, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // SAFETY: as in withBytes; every byte pattern is a UInt8.
    let valid = unsafe UnsafeRawBufferPointer(rebasing: storage[0..<count]).bindMemory(to: UInt8.self)
    return try body(unsafe valid.span)
  }

  /// Calls `body` with the valid bytes in both forms: elements to decode, raw bytes to hand on.
  @inlinable
  public borrowing func withSpans<Result: ~Copyable, Failure: Error>(
    _ body: (Span<UInt8>, RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try withSpan { (elements) throws(Failure) -> Result in
      try withBytes { (bytes) throws(Failure) -> Result in try body(elements, bytes) }
    }
  }

  /// Appends a copy of `bytes`, which must fit.
  public mutating func append(_ bytes: [UInt8]) {
    precondition(bytes.count <= capacity - count)
    // SAFETY: the destination lies in our own storage, behind what is valid.
    unsafe UnsafeMutableRawBufferPointer(rebasing: storage[count...]).copyBytes(from: bytes)
    valid += bytes.count
  }

  /// A copy of the valid bytes.
  // SAFETY: withUnsafeBytes gives the valid bytes, and they are copied within it.
  public borrowing func copy() -> [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }

  /// Makes exactly the first `newCount` bytes valid, whatever they hold, for them to be overwritten.
  @inlinable public mutating func resize(to newCount: Int) {
    precondition(newCount >= 0 && newCount <= capacity)
    valid = newCount
  }

  /// Appends what `body` writes, at most `limit` bytes; what it wrote stands even when it throws.
  @inlinable
  public mutating func append<Result: ~Copyable, Failure: Error>(
    limit: Int = .max, _ body: (inout OutputRawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // SAFETY: the free part of our own storage; exclusive because self is mutated.
    let free = unsafe UnsafeMutableRawBufferPointer(rebasing: storage[count..<(count + min(limit, capacity - count))])
    var output = unsafe OutputRawSpan(buffer: free, initializedCount: 0)
    do {
      let result = try body(&output)
      unsafe valid += output.finalize(for: free)
      return result
    } catch {
      unsafe valid += output.finalize(for: free)
      throw error
    }
  }

  /// Gives the whole memory to a system call that fills it from the start and says how much it wrote.
  mutating func fill<Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
  ) throws(Failure) {
    valid = 0
    // SAFETY: our own storage, of which every byte is initialized; exclusive because self is mutated.
    valid = try unsafe body(storage)
    precondition(count <= capacity)
  }

  borrowing func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // SAFETY: as in withBytes.
    try unsafe body(UnsafeRawBufferPointer(rebasing: storage[0..<count]))
  }

  /// Overwrites bytes that are valid already.
  @inlinable
  public mutating func withMutableSpan<Result>(_ body: (inout MutableSpan<UInt8>) -> Result) -> Result {
    // SAFETY: initialized storage of our own; exclusive because self is mutated; every byte pattern is a UInt8.
    let valid = unsafe UnsafeMutableRawBufferPointer(rebasing: storage[0..<count]).bindMemory(to: UInt8.self)
    var span = unsafe valid.mutableSpan
    return body(&span)
  }
}

import Glibc

/// A caller's `struct open_how` (openat2(2)), from one private copy.
public struct OpenHow: Sendable, Hashable {
  public var flags: OpenFlags
  public var mode: UInt64
  public var rules: ResolveRules

  /// OPEN_HOW_SIZE_VER0
  private static let size = 24

  /// - Parameter size: as the caller stated it; later versions of the structure are longer.
  /// - Returns: nil for what the kernel is going to refuse or what is not known here: a size that is too small or too
  ///   large, or bytes beyond what is known that are not zero.
  public init?(_ thread: borrowing NotifyingThread, at address: UInt64, size: UInt64) throws(SystemError) {
    guard size >= UInt64(Self.size), size <= 4096 else { return nil }
    let bytes = try thread.read(at: address, count: Int(size))
    guard bytes[Self.size...].allSatisfy({ $0 == 0 }) else { return nil }
    func word(_ offset: Int) -> UInt64 {
      (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }
    flags = OpenFlags(rawValue: word(0))
    mode = word(8)
    rules = ResolveRules(rawValue: word(16))
  }
}

import Crypto

/// SHA-256 (FIPS 180-4) of a record: what its tag and the segment's hash speak of.
public struct RecordDigest: Sendable {
  public static let length = 32

  private var hasher = SHA256()

  public init() {}

  /// Takes up bytes; the range lies within.
  public mutating func add(_ bytes: [UInt8], _ range: Range<Int>) { hasher.update(data: bytes[range]) }

  /// The digest of what was taken up.
  public var value: [UInt8] { Array(hasher.finalize()) }
}

/// One hash over many digests, in order: what a checkpoint signs. It can be computed without any key.
public struct RunningHash: Sendable {
  private var hasher = SHA256()

  public init() {}

  public mutating func add(_ digest: [UInt8]) { hasher.update(data: digest) }

  /// The hash of all that was taken up until now.
  public var value: [UInt8] { Array(hasher.finalize()) }
}

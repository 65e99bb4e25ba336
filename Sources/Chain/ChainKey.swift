import Crypto

/// The journal's secret of one epoch: it makes tags, and the next epoch's secret, and leads back to no earlier one.
///
/// The construction is the forward-secure message authentication of Bellare and Yee ("Forward-Security in Private-Key
/// Cryptography", CT-RSA 2003), as Schneier and Kelsey ("Secure Audit Logs to Support Computer Forensics", ACM TISSEC
/// 1999) and systemd's Forward Secure Sealing use it for logs: a state that a one-way function leads from epoch to epoch
/// and from which each epoch's key is derived. The one-way function is HMAC-SHA-256 (RFC 2104, FIPS 198-1) over a label
/// of its own for each purpose. systemd's generator can be set forward to any epoch at once; ours is walked, a
/// microsecond an epoch, which for a record a second for a year is half a minute.
public struct ChainKey: Sendable {
  /// Bytes of a secret.
  public static let length = 32
  /// Bytes of a tag: HMAC-SHA-256 cut in half, which RFC 2104 section 5 allows.
  public static let tagLength = 16

  public private(set) var epoch: UInt64
  /// The epoch's secret, from which everybody who has it can make all that follow.
  public private(set) var secret: [UInt8]
  /// Begun with the epoch's tag key, so that a record costs no key schedule.
  private var authenticator: HMAC<SHA256>

  /// - Parameter secret: `length` bytes.
  public init(epoch: UInt64, secret: [UInt8]) {
    precondition(secret.count == ChainKey.length, "a secret of \(ChainKey.length) bytes")
    self.epoch = epoch
    self.secret = secret
    authenticator = ChainKey.authenticator(secret)
  }

  /// Goes to the next epoch. The secret before is overwritten where this value alone has it.
  public mutating func evolve() {
    let next = ChainKey.derive("postern journal 1: next epoch", from: secret)
    for (index, byte) in next.enumerated() { secret[index] = byte }
    epoch += 1
    authenticator = ChainKey.authenticator(secret)
  }

  /// Goes forward to `epoch`; one that has passed is out of reach.
  public mutating func evolve(to epoch: UInt64) {
    while self.epoch < epoch { evolve() }
  }

  /// Overwrites the secret.
  public mutating func erase() {
    for index in secret.indices { secret[index] = 0 }
    authenticator = ChainKey.authenticator(secret)
  }

  /// The tag of something by its digest and the tag before it in the chain.
  ///
  /// - Parameters:
  ///   - digest: `RecordDigest.length` bytes.
  ///   - previous: `tagLength` bytes; with them a tag speaks for the order too.
  public func tag(digest: [UInt8], previous: [UInt8]) -> [UInt8] {
    var authenticator = authenticator
    authenticator.update(data: digest + previous)
    return Array(authenticator.finalize().prefix(ChainKey.tagLength))
  }

  private static func authenticator(_ secret: [UInt8]) -> HMAC<SHA256> {
    HMAC<SHA256>(key: SymmetricKey(data: derive("postern journal 1: tags of this epoch", from: secret)))
  }

  private static func derive(_ purpose: String, from secret: [UInt8]) -> [UInt8] {
    Array(HMAC<SHA256>.authenticationCode(for: Array(purpose.utf8), using: SymmetricKey(data: secret)))
  }
}

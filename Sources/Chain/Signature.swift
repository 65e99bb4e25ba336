import Crypto

/// A key pair that signs checkpoints: Ed25519 (RFC 8032).
public struct SigningKey: Sendable {
  /// Bytes of a seed and of a public key.
  public static let length = 32

  private let key: Curve25519.Signing.PrivateKey

  /// nil: not `length` bytes.
  public init?(seed: [UInt8]) {
    guard seed.count == SigningKey.length, let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
      return nil
    }
    self.key = key
  }

  public var publicKey: [UInt8] { Array(key.publicKey.rawRepresentation) }

  /// nil: the library failed.
  public func signature(of message: [UInt8]) -> [UInt8]? {
    guard let signature = try? key.signature(for: message) else { return nil }
    return Array(signature)
  }

  /// Whether `signature` is the one of `message` by the owner of `publicKey`.
  public static func isValid(_ signature: [UInt8], of message: [UInt8], by publicKey: [UInt8]) -> Bool {
    guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else { return false }
    return key.isValidSignature(signature, for: message)
  }
}

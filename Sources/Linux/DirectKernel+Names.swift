import CLinux
import KernelEntity

/// What a number of the kernel's maps means, noted there for the next broker.
public struct DirectName: Sendable, Hashable {
  public enum Kind: UInt32, Sendable, Hashable {
    case object = 1
    case application = 2
    /// `application << 32 | object`; without a text.
    case grant = 3
  }

  public var kind: Kind
  public var number: UInt64
  /// Of what the policy says of it: another digest is another object, application or grant.
  public var digest: UInt64
  /// At most 127 bytes.
  public var text: String

  public init(_ kind: Kind, number: UInt64, digest: UInt64, text: String = "") {
    self.kind = kind
    self.number = number
    self.digest = digest
    self.text = text
  }
}

extension DirectKernel {
  /// Errors: ENAMETOOLONG, ENOSPC, ENOMEM.
  public func put(_ name: DirectName) throws(SystemError) {
    var record = postern_direct_name()
    record.digest = name.digest
    let bytes = Array(name.text.utf8)
    let fits = unsafe withUnsafeMutableBytes(of: &record.text) { room in
      guard bytes.count < room.count else { return false }
      // SAFETY: as many bytes as fit, with a zero left behind them.
      unsafe room.copyBytes(from: bytes)
      return true
    }
    guard fits else { throw SystemError(errno: ErrorCode.nameTooLong, operation: "note a name") }
    try attempt("note a name") { unsafe clinux_direct_put_name($0, name.kind.rawValue, name.number, &record) }
  }

  public func forget(_ kind: DirectName.Kind, number: UInt64) {
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    _ = withKernel { unsafe clinux_direct_forget_name($0, kind.rawValue, number) }
  }

  /// Everything that is noted.
  public func names() -> [DirectName] {
    var found: [DirectName] = []
    var key = postern_direct_name_key()
    var record = postern_direct_name()
    while withKernel({ unsafe clinux_direct_next_name($0, &key, &record) }) == 0 {
      guard let kind = DirectName.Kind(rawValue: key.kind) else { continue }
      let text = unsafe withUnsafeBytes(of: record.text) { bytes in
        // SAFETY: copied within the closure.
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      found.append(DirectName(kind, number: key.number, digest: record.digest, text: text))
    }
    return found
  }
}

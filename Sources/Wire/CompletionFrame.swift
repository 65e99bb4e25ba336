import Instructions

/// What the object can do now without waiting; the bits are those of poll(2).
public struct Readiness: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// POLLIN
  public static let input = Readiness(rawValue: 0x0001)
  /// POLLPRI
  public static let priority = Readiness(rawValue: 0x0002)
  /// POLLOUT
  public static let output = Readiness(rawValue: 0x0004)
  /// POLLERR
  public static let error = Readiness(rawValue: 0x0008)
  /// POLLHUP
  public static let hangup = Readiness(rawValue: 0x0010)

  static let defined: UInt32 = 0x001F
}

public struct CompletionFlags: OptionSet, Sendable, Hashable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The next of the datagram's attached descriptors belongs to this completion.
  public static let descriptor = CompletionFlags(rawValue: 0x01)
  /// More bytes were there than asked for, and they are gone (MSG_TRUNC).
  public static let truncated = CompletionFlags(rawValue: 0x02)

  static let defined: UInt16 = 0x03
}

/// One completion or notification of a datagram from the broker.
public struct CompletionFrame: Sendable, Hashable {
  public static let size = 48

  public enum Kind: UInt8, CaseIterable, Sendable, Hashable {
    /// The instruction with this cookie has ended.
    case completion = 0
    /// `result` holds `Readiness` bits; the cookie is that of the instruction that asked.
    case ready = 1
    /// The association of this channel's holder ended; `reason` says why (revoked, expired, stale, notAssociated). Cookie 0.
    case changed = 2
  }

  public var kind: Kind
  public var flags: CompletionFlags
  public var cookie: UInt64
  /// Byte count or other plain result; -errno if it failed.
  public var result: Int64
  /// nil: executed, or allowed but failed.
  public var reason: Reason?
  public var detail: RefusalDetail
  /// Where a datagram came from or who connected, if asked for.
  public var address: NetworkAddress?
  /// Where the payload is in the datagram; only its count is encoded.
  public var payload: Range<Int>

  public init(
    kind: Kind = .completion, flags: CompletionFlags = [], cookie: UInt64, result: Int64, reason: Reason? = nil,
    detail: RefusalDetail = .none, address: NetworkAddress? = nil, payload: Range<Int> = 0..<0
  ) {
    self.kind = kind
    self.flags = flags
    self.cookie = cookie
    self.result = result
    self.reason = reason
    self.detail = detail
    self.address = address
    self.payload = payload
  }

  /// The answer to an instruction that was refused.
  public init(cookie: UInt64, refused reason: Reason, detail: RefusalDetail = .none) {
    self.init(cookie: cookie, result: -Int64(reason.errno), reason: reason, detail: detail)
  }
}

extension CompletionFrame {
  // Offsets in the frame; PROTOCOL.md draws them.
  enum Layout {
    static let cookie = 0
    static let result = 8
    static let reason = 16
    static let detail = 18
    static let flags = 20
    static let kind = 22
    static let family = 23
    static let payload = 24
    static let port = 28
    static let reserved = 30
    static let address = 32
  }

  @inline(__always)
  func validate() throws(WireError) {
    switch kind {
    case .completion:
      // A refusal carries no result but its errno, no bytes and no descriptor.
      if reason != nil, result >= 0 || !payload.isEmpty || flags.contains(.descriptor) { throw .badValue(.reason) }
    case .ready:
      guard result > 0, result & ~Int64(Readiness.defined) == 0 else { throw .badValue(.readiness) }
      guard reason == nil, flags.isEmpty, payload.isEmpty, address == nil else { throw .badValue(.kind) }
    case .changed:
      guard reason != nil, cookie == 0, result == 0, flags.isEmpty, payload.isEmpty, address == nil else {
        throw .badValue(.kind)
      }
    }
    if reason == nil, detail != .none { throw .badValue(.detail) }
  }

  @inline(__always)
  init(decoding datagram: Span<UInt8>, at offset: Int, payloadStart: Int) throws(WireError) {
    let end = datagram.count
    guard offset >= 0, offset <= end - CompletionFrame.size else { throw .truncated }
    let bytes = datagram.extracting(offset..<(offset &+ CompletionFrame.size))
    // Tells the optimizer what it needs to drop the bounds check of each byte below.
    guard bytes.count == CompletionFrame.size else { throw .truncated }
    guard let kind = Kind(rawValue: bytes[Layout.kind]) else { throw .badValue(.kind) }
    let flagBits = bytes.word16(Layout.flags)
    guard flagBits & ~CompletionFlags.defined == 0 else { throw .badValue(.flags) }
    guard bytes.word16(Layout.reserved) == 0 else { throw .badValue(.reserved) }
    let payloadCount = Int(bytes.word32(Layout.payload))
    guard payloadCount <= end - payloadStart else { throw .badLength }
    guard let detail = RefusalDetail(rawValue: bytes.word16(Layout.detail)) else { throw .badValue(.detail) }

    let reasonCode = bytes.word16(Layout.reason)
    reason = Reason(rawValue: reasonCode)
    guard reasonCode == 0 || reason != nil else { throw .badValue(.reason) }
    self.kind = kind
    self.detail = detail
    flags = CompletionFlags(rawValue: flagBits)
    cookie = bytes.word64(Layout.cookie)
    result = Int64(bitPattern: bytes.word64(Layout.result))
    address = try NetworkAddress.decode(
      bytes, family: Layout.family, port: Layout.port, address: Layout.address)
    payload = payloadStart..<(payloadStart &+ payloadCount)
    try validate()
  }

  /// Writes the frame in its place, `index` of the datagram; payloads are the caller's.
  ///
  /// On error nothing was written. Errors: the datagram is too small, or the frame breaks a rule that `CompletionBatch` checks.
  @inline(__always)
  public func encode(into datagram: inout MutableSpan<UInt8>, index: Int) throws(WireError) {
    guard index >= 0, index < Bounds.batch else { throw .badCount }
    let start = BatchHeader.size &+ index &* CompletionFrame.size
    guard start &+ CompletionFrame.size <= datagram.count else { throw .truncated }
    guard payload.count <= Bounds.payload else { throw .oversized }
    guard flags.rawValue & ~CompletionFlags.defined == 0 else { throw .badValue(.flags) }
    try validate()
    datagram.store(cookie, at: start &+ Layout.cookie)
    datagram.store(UInt64(bitPattern: result), at: start &+ Layout.result)
    datagram.store(reason?.rawValue ?? 0, at: start &+ Layout.reason)
    datagram.store(detail.rawValue, at: start &+ Layout.detail)
    datagram.store(flags.rawValue, at: start &+ Layout.flags)
    datagram[start &+ Layout.kind] = kind.rawValue
    datagram.store(UInt32(truncatingIfNeeded: payload.count), at: start &+ Layout.payload)
    datagram.store(UInt16(0), at: start &+ Layout.reserved)
    NetworkAddress.encode(
      address, into: &datagram, family: start &+ Layout.family, port: start &+ Layout.port,
      address: start &+ Layout.address)
  }
}

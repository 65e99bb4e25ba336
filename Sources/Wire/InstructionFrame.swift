import Instructions

/// How an instruction is to be answered. The bits are wire format.
public struct InstructionFlags: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Complete at once with -EAGAIN instead of waiting.
  public static let nonblocking = InstructionFlags(rawValue: 0x01)
  /// If it completes with -EAGAIN, one `ready` notification with the same cookie follows when it is worth repeating.
  public static let wantReadiness = InstructionFlags(rawValue: 0x02)

  static let defined: UInt8 = 0x03
}

/// One instruction of a datagram from an application.
public struct InstructionFrame: Sendable, Hashable {
  public static let size = 56

  public enum Action: Sendable, Hashable {
    /// Check, then perform, the operation.
    case perform(Opcode)
    /// End the instruction whose cookie is `operands.offset`: it completes with -ECANCELED, this one with 0, or -ENOENT if none waits.
    case cancel
    /// One `ready` notification with this cookie when one of the `Readiness` bits in `operands.request` holds; completes itself only on error.
    case arm
  }

  public var action: Action
  public var flags: InstructionFlags
  /// Chosen by the application, returned with the completion.
  public var cookie: UInt64
  /// For instructions that carry their bytes (write, send, setoption) `length` is the payload's.
  public var operands: Operands
  /// Where the payload is in the datagram; only its count is encoded.
  public var payload: Range<Int>

  public init(
    action: Action, flags: InstructionFlags = [], cookie: UInt64, operands: Operands = Operands(),
    payload: Range<Int> = 0..<0
  ) {
    self.action = action
    self.flags = flags
    self.cookie = cookie
    self.operands = operands
    self.payload = payload
  }
}

extension InstructionFrame.Action {
  static let cancelCode: UInt8 = 0xF0
  static let armCode: UInt8 = 0xF1

  var code: UInt8 {
    switch self {
    case .perform(let opcode): opcode.rawValue
    case .cancel: Self.cancelCode
    case .arm: Self.armCode
    }
  }

  init?(code: UInt8) {
    switch code {
    case Self.cancelCode: self = .cancel
    case Self.armCode: self = .arm
    default:
      guard let opcode = Opcode(rawValue: code) else { return nil }
      self = .perform(opcode)
    }
  }
}

extension InstructionFrame {
  // Offsets in the frame; PROTOCOL.md draws them.
  enum Layout {
    static let action = 0
    static let flags = 1
    static let family = 2
    static let reserved0 = 3
    static let request = 4
    static let cookie = 8
    static let offset = 16
    static let length = 24
    static let payload = 32
    static let port = 36
    static let reserved1 = 38
    static let address = 40
  }

  /// What every frame must obey in both directions: who may carry a payload or an address, and lengths that agree.
  @inline(__always)
  func validate() throws(WireError) {
    switch action {
    case .perform(.write), .perform(.send), .perform(.setoption):
      guard operands.length == UInt64(payload.count) else { throw .badLength }
    case .perform(.transfer), .perform(.control):
      break
    case .perform, .cancel, .arm:
      guard payload.isEmpty else { throw .badLength }
    }
    if operands.address != nil {
      switch action {
      case .perform(.connect), .perform(.send): break
      default: throw .badValue(.family)
      }
    }
    if action == .arm, operands.request & ~Readiness.defined != 0 || operands.request == 0 {
      throw .badValue(.readiness)
    }
  }

  /// `payloadStart`: where this frame's payload begins in the datagram; `end`: the datagram's length.
  @inline(__always)
  init(decoding datagram: Span<UInt8>, at offset: Int, payloadStart: Int) throws(WireError) {
    let end = datagram.count
    guard offset >= 0, offset <= end - InstructionFrame.size else { throw .truncated }
    let bytes = datagram.extracting(offset..<(offset &+ InstructionFrame.size))
    // Tells the optimizer what it needs to drop the bounds check of each byte below.
    guard bytes.count == InstructionFrame.size else { throw .truncated }
    guard let action = Action(code: bytes[Layout.action]) else { throw .unknownType }
    guard bytes[Layout.flags] & ~InstructionFlags.defined == 0 else { throw .badValue(.flags) }
    guard bytes[Layout.reserved0] == 0, bytes.word16(Layout.reserved1) == 0 else { throw .badValue(.reserved) }
    let payloadCount = Int(bytes.word32(Layout.payload))
    guard payloadCount <= end - payloadStart else { throw .badLength }

    self.action = action
    flags = InstructionFlags(rawValue: bytes[Layout.flags])
    cookie = bytes.word64(Layout.cookie)
    operands = Operands(
      offset: bytes.word64(Layout.offset), length: bytes.word64(Layout.length), request: bytes.word32(Layout.request),
      address: try NetworkAddress.decode(
        bytes, family: Layout.family, port: Layout.port, address: Layout.address))
    payload = payloadStart..<(payloadStart &+ payloadCount)
    try validate()
  }

  /// Writes the frame in its place, `index` of the datagram, and returns nothing else: payloads are the caller's.
  ///
  /// On error nothing was written. Errors: the datagram is too small, or the frame breaks a rule that `InstructionBatch` checks.
  @inline(__always)
  public func encode(into datagram: inout MutableSpan<UInt8>, index: Int) throws(WireError) {
    guard index >= 0, index < Bounds.batch else { throw .badCount }
    let start = BatchHeader.size &+ index &* InstructionFrame.size
    guard start &+ InstructionFrame.size <= datagram.count else { throw .truncated }
    guard payload.count <= Bounds.payload else { throw .oversized }
    guard flags.rawValue & ~InstructionFlags.defined == 0 else { throw .badValue(.flags) }
    try validate()
    datagram[start &+ Layout.action] = action.code
    datagram[start &+ Layout.flags] = flags.rawValue
    datagram[start &+ Layout.reserved0] = 0
    datagram.store(operands.request, at: start &+ Layout.request)
    datagram.store(cookie, at: start &+ Layout.cookie)
    datagram.store(operands.offset, at: start &+ Layout.offset)
    datagram.store(operands.length, at: start &+ Layout.length)
    datagram.store(UInt32(truncatingIfNeeded: payload.count), at: start &+ Layout.payload)
    datagram.store(UInt16(0), at: start &+ Layout.reserved1)
    NetworkAddress.encode(
      operands.address, into: &datagram, family: start &+ Layout.family, port: start &+ Layout.port,
      address: start &+ Layout.address)
  }
}

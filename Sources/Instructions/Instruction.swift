/// An IPv4 or IPv6 address with a port, as operands carry it; pure data, no `sockaddr`.
public struct NetworkAddress: Sendable, Hashable {
  public enum Family: UInt8, Sendable, Hashable {
    /// AF_INET
    case ipv4 = 2
    /// AF_INET6
    case ipv6 = 10
  }

  public var family: Family
  /// Network order; IPv4 uses the first four bytes and leaves the others zero.
  public var bytes: InlineArray<16, UInt8>
  /// Host order.
  public var port: UInt16

  public init(family: Family, bytes: InlineArray<16, UInt8>, port: UInt16) {
    self.family = family
    self.bytes = bytes
    self.port = port
  }

  public static func == (left: NetworkAddress, right: NetworkAddress) -> Bool {
    guard left.family == right.family, left.port == right.port else { return false }
    for index in left.bytes.indices where left.bytes[index] != right.bytes[index] { return false }
    return true
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(family)
    hasher.combine(port)
    for index in bytes.indices { hasher.combine(bytes[index]) }
  }
}

/// The part of an instruction that limits can speak of.
public struct Operands: Sendable, Hashable {
  /// Bytes, relative to the object's range.
  public var offset: UInt64
  /// Bytes wanted or carried.
  public var length: UInt64
  /// control: request number; setoption and getoption: `level << 16 | name`; shutdown: how; listen: backlog.
  public var request: UInt32
  /// Destination of connect and send, if one is given.
  public var address: NetworkAddress?

  public init(offset: UInt64 = 0, length: UInt64 = 0, request: UInt32 = 0, address: NetworkAddress? = nil) {
    self.offset = offset
    self.length = length
    self.request = request
    self.address = address
  }
}

/// A semi-privileged instruction: an operation that a process may issue itself if it is authorized.
public struct Instruction: Sendable, Hashable {
  public var opcode: Opcode
  public var object: ObjectID
  public var operands: Operands

  public init(opcode: Opcode, object: ObjectID, operands: Operands = Operands()) {
    self.opcode = opcode
    self.object = object
    self.operands = operands
  }
}

/// Who issues an instruction.
public enum Issuer: Sendable, Hashable {
  /// The broker itself: always executes, recorded as such.
  case kernel
  case process(ProcessResource)
}

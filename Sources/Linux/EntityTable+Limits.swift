import Glibc
import Instructions
import KernelEntity

/// A limit set as the table takes it. A nil is "this key is not given", which grants nothing that needs it.
public struct EntityLimits: Sendable {
  public struct Destination: Sendable, Hashable {
    public var forConnect: Bool
    public var forSend: Bool
    public var address: NetworkAddress
    public var prefixLength: UInt8
    public var ports: ClosedRange<UInt16>

    public init(
      forConnect: Bool, forSend: Bool, address: NetworkAddress, prefixLength: UInt8, ports: ClosedRange<UInt16>
    ) {
      self.forConnect = forConnect
      self.forSend = forSend
      self.address = address
      self.prefixLength = prefixLength
      self.ports = ports
    }
  }

  public var range: (offset: UInt64, length: UInt64)?
  public var maximumLength: UInt32?
  public var limitsConnect: Bool
  public var limitsSend: Bool
  /// At most 16.
  public var destinations: [Destination]
  /// `level << 16 | name`; at most 16.
  public var options: [UInt32]?
  /// Request numbers; at most 32.
  public var controls: [UInt32]?

  public init(
    range: (offset: UInt64, length: UInt64)? = nil, maximumLength: UInt32? = nil, limitsConnect: Bool = false,
    limitsSend: Bool = false, destinations: [Destination] = [], options: [UInt32]? = nil, controls: [UInt32]? = nil
  ) {
    self.range = range
    self.maximumLength = maximumLength
    self.limitsConnect = limitsConnect
    self.limitsSend = limitsSend
    self.destinations = destinations
    self.options = options
    self.controls = controls
  }

  /// nil: more addresses, options or requests than a limit set can hold.
  var record: postern_limits? {
    var limits = postern_limits()
    if let range {
      limits.flags |= UInt32(POSTERN_LIMIT_RANGE)
      limits.range_offset = range.offset
      limits.range_length = range.length
    }
    if let maximumLength {
      limits.flags |= UInt32(POSTERN_LIMIT_LENGTH)
      limits.max_length = maximumLength
    }
    if limitsConnect { limits.flags |= UInt32(POSTERN_LIMIT_CONNECT) }
    if limitsSend { limits.flags |= UInt32(POSTERN_LIMIT_SEND) }
    guard Self.fill(&limits.addresses, with: destinations.map(\.record)) else { return nil }
    limits.address_count = UInt32(destinations.count)
    if let options {
      limits.flags |= UInt32(POSTERN_LIMIT_OPTIONS)
      guard Self.fill(&limits.options, with: options) else { return nil }
      limits.option_count = UInt32(options.count)
    }
    if let controls {
      limits.flags |= UInt32(POSTERN_LIMIT_CONTROL)
      guard Self.fill(&limits.controls, with: controls) else { return nil }
      limits.control_count = UInt32(controls.count)
    }
    return limits
  }

  /// Copies into a C array, which Swift sees as a tuple; false where it is too short.
  private static func fill<Tuple, Element>(_ tuple: inout Tuple, with elements: [Element]) -> Bool {
    unsafe withUnsafeMutableBytes(of: &tuple) { bytes in
      // SAFETY: a C array imported as a homogeneous tuple of trivial elements has the layout of the array.
      let array = unsafe bytes.assumingMemoryBound(to: Element.self)
      guard elements.count <= array.count else { return false }
      for (index, element) in elements.enumerated() { unsafe array[index] = element }
      return true
    }
  }
}

extension EntityLimits.Destination {
  var record: postern_address_limit {
    var limit = postern_address_limit()
    limit.uses = UInt8(forConnect ? POSTERN_ADDRESS_CONNECT : 0) | UInt8(forSend ? POSTERN_ADDRESS_SEND : 0)
    limit.family = address.family.rawValue
    limit.prefix_length = prefixLength
    limit.port_first = ports.lowerBound
    limit.port_last = ports.upperBound
    unsafe withUnsafeMutableBytes(of: &limit.address) { bytes in
      // SAFETY: both have 16 bytes.
      for index in address.bytes.indices { unsafe bytes[index] = address.bytes[index] }
    }
    return limit
  }
}

extension EntityTable {
  /// A limit set's number, with one reference held by the caller. Errors: E2BIG, ENOSPC.
  public borrowing func define(_ limits: EntityLimits) throws(SystemError) -> UInt32 {
    var arguments = postern_limits_arguments()
    guard let record = limits.record else { throw SystemError(errno: E2BIG, operation: "define limits") }
    arguments.limits = record
    let result = call(POSTERN_ENTITY_DEFINE_LIMITS, &arguments)
    guard result == 0 else { throw SystemError(errno: -result, operation: "define limits") }
    return arguments.index
  }

  /// Gives the caller's reference back; the set stays while associations name it. Errors: ENOENT.
  public borrowing func release(limits index: UInt32) throws(SystemError) {
    var arguments = postern_limits_arguments()
    arguments.index = index
    let result = call(POSTERN_ENTITY_RELEASE_LIMITS, &arguments)
    guard result == 0 else { throw SystemError(errno: -result, operation: "release limits") }
  }
}

import Instructions

/// Everything that bounds the operands of one association; a nil is "not given", which grants nothing that needs it.
public struct LimitSet: Sendable, Hashable {
  /// The most that a limit set of the ABI holds (`postern_abi.h`).
  public static let maximumAddresses = 16
  public static let maximumControls = 32
  public static let maximumOptions = 16

  /// Bytes, relative to the device.
  public var range: ByteRange?
  /// Bytes of one operation.
  public var maximumLength: UInt32?
  public var connect: [AddressPattern]?
  public var sendTo: [AddressPattern]?
  public var options: [SocketOption]?
  public var controls: [ControlRequest]?

  public init(
    range: ByteRange? = nil, maximumLength: UInt32? = nil, connect: [AddressPattern]? = nil,
    sendTo: [AddressPattern]? = nil, options: [SocketOption]? = nil, controls: [ControlRequest]? = nil
  ) {
    self.range = range
    self.maximumLength = maximumLength
    self.connect = connect
    self.sendTo = sendTo
    self.options = options
    self.controls = controls
  }

  /// Why no limit set can be made of an object and a grant.
  public enum Failure: Error, Sendable, Hashable {
    /// connect and send-to patterns together; a pattern that stands in both counts twice.
    case tooManyAddresses(Int)
    case tooManyControls(Int)
    case tooManyOptions(Int)
    /// The grant's range is not inside the object's.
    case rangeOutside(grant: ByteRange, object: ByteRange)
    /// The end of the range is past 2^64.
    case rangeOverflows(ByteRange)
  }

  /// What the object allows, narrowed by what the grant says. Limits only shrink: nothing that the grant adds counts.
  ///
  /// - Parameter size: bytes of the whole device, for a disk whose definition gives no range.
  public init(_ object: ObjectDefinition, narrowedBy grant: GrantRule, size: UInt64? = nil) throws(Failure) {
    self.init()
    switch object.specification {
    case .socket(let socket):
      connect = Self.intersection(socket.connect, grant.connect)
      sendTo = Self.intersection(socket.sendTo, grant.sendTo)
      options = Self.intersection(socket.options, grant.options) { $0.level == $1.level && $0.option == $1.option }
    case .disk(let disk):
      range = try Self.narrow(disk.range ?? size.map { ByteRange(offset: 0, length: $0) }, to: grant.range)
    case .bus(let bus):
      controls = Self.intersection(bus.ioctls, grant.ioctls) { $0.request == $1.request }
      if let wanted = grant.range { range = try Self.narrow(nil, to: wanted) }
    }
    try checkCounts()
  }

  private func checkCounts() throws(Failure) {
    let addresses = (connect?.count ?? 0) + (sendTo?.count ?? 0)
    if addresses > Self.maximumAddresses { throw .tooManyAddresses(addresses) }
    if let count = options?.count, count > Self.maximumOptions { throw .tooManyOptions(count) }
    if let count = controls?.count, count > Self.maximumControls { throw .tooManyControls(count) }
  }

  /// The grant's range if it lies inside the object's; without one the object's. nil, nil: none.
  private static func narrow(_ object: ByteRange?, to grant: ByteRange?) throws(Failure) -> ByteRange? {
    for range in [object, grant].compactMap({ $0 })
    where range.offset.addingReportingOverflow(range.length).overflow { throw .rangeOverflows(range) }
    guard let grant else { return object }
    guard let object else { return grant }
    guard grant.offset >= object.offset, grant.length <= object.length,
      grant.offset - object.offset <= object.length - grant.length
    else { throw .rangeOutside(grant: grant, object: object) }
    return grant
  }

  /// Elements of both lists, nil where that leaves none: an empty list is "this key is not given".
  private static func intersection<Element>(
    _ object: [Element], _ grant: [Element]?, same: (Element, Element) -> Bool
  ) -> [Element]? {
    let both = grant.map { grant in object.filter { one in grant.contains { same(one, $0) } } } ?? object
    return both.isEmpty ? nil : both
  }

  /// Destinations that some pattern of each list allows.
  private static func intersection(_ object: [AddressPattern], _ grant: [AddressPattern]?) -> [AddressPattern]? {
    guard let grant else { return object.isEmpty ? nil : object }
    var both: [AddressPattern] = []
    for wide in object {
      for narrow in grant {
        if let common = wide.intersection(narrow), !both.contains(common) { both.append(common) }
      }
    }
    return both.isEmpty ? nil : both
  }
}

extension AddressPattern {
  /// The destinations that both patterns allow, or nil: of two prefixes one contains the other or they are disjoint.
  public func intersection(_ other: AddressPattern) -> AddressPattern? {
    guard address.family == other.address.family else { return nil }
    let first = max(ports.lowerBound, other.ports.lowerBound)
    let last = min(ports.upperBound, other.ports.upperBound)
    let shared = min(prefixLength, other.prefixLength)
    guard first <= last, Self.prefixesAgree(address.bytes, other.address.bytes, bits: Int(shared)) else { return nil }
    let narrower = prefixLength >= other.prefixLength ? self : other
    return AddressPattern(address: narrower.address, prefixLength: narrower.prefixLength, ports: first...last)
  }

  private static func prefixesAgree(
    _ left: InlineArray<16, UInt8>, _ right: InlineArray<16, UInt8>, bits: Int
  ) -> Bool {
    for index in left.indices where bits > index * 8 {
      let mask: UInt8 = bits - index * 8 >= 8 ? 0xff : ~(0xff >> UInt8(bits - index * 8))
      if (left[index] ^ right[index]) & mask != 0 { return false }
    }
    return true
  }
}

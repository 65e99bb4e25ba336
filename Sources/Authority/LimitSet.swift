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
  /// Of a disk. No operand is held against it: `effective` takes the operations away.
  public var access: Access?

  public init(
    range: ByteRange? = nil, maximumLength: UInt32? = nil, connect: [AddressPattern]? = nil,
    sendTo: [AddressPattern]? = nil, options: [SocketOption]? = nil, controls: [ControlRequest]? = nil,
    access: Access? = nil
  ) {
    self.range = range
    self.maximumLength = maximumLength
    self.connect = connect
    self.sendTo = sendTo
    self.options = options
    self.controls = controls
    self.access = access
  }

  /// Why no limit set can be made of an object and a grant.
  public enum Failure: Error, Sendable, Hashable {
    /// connect and send-to patterns together; a pattern that stands in both counts twice.
    case tooManyAddresses(Int)
    case tooManyControls(Int)
    case tooManyOptions(Int)
    /// The grant's range is not inside the object's, or is empty.
    case rangeOutside(grant: ByteRange, object: ByteRange)
    /// The end of the range is past 2^64.
    case rangeOverflows(ByteRange)
  }

  /// What the object allows, narrowed by what the grant says. Limits only shrink: nothing that the grant adds counts.
  ///
  /// A disk whose definition gives no range has none until `within` is told the device's.
  public init(_ object: ObjectDefinition, narrowedBy grant: GrantRule) throws(Failure) {
    self.init()
    switch object.specification {
    case .socket(let socket):
      connect = Self.intersection(socket.connect, grant.connect)
      sendTo = Self.intersection(socket.sendTo, grant.sendTo)
      options = Self.intersection(socket.options, grant.options) { $0.level == $1.level && $0.option == $1.option }
    case .disk(let disk):
      range = try Self.narrow(disk.range, to: grant.range)
      access = disk.access == .readOnly || grant.access == .readOnly ? .readOnly : .readWrite
    case .bus(let bus):
      controls = Self.intersection(bus.ioctls, grant.ioctls) { $0.request == $1.request }
      if let wanted = grant.range { range = try Self.narrow(nil, to: wanted) }
    }
    try checkCounts()
  }

  /// The same limits on an open device: its own range where none is given.
  ///
  /// - Throws: `rangeOutside` where the device does not have the whole range.
  public func within(_ device: ByteRange) throws(Failure) -> LimitSet {
    var limits = self
    limits.range = try Self.narrow(device, to: range)
    return limits
  }

  /// The operations among `operations` that the limits leave something of.
  ///
  /// An operation whose limit key is missing would be refused each time (libcasper's advisory: a key left out meant
  /// "allow any"); so it is not granted at all, and `can-i` says no.
  public func effective(_ operations: OperationSet) -> OperationSet {
    var effective = operations
    if access == .readOnly { effective.subtract(OperationSet([.write, .discard])) }
    if connect == nil { effective.subtract(OperationSet(.connect)) }
    if sendTo == nil { effective.subtract(OperationSet(.send)) }
    if options == nil { effective.subtract(OperationSet(.setoption)) }
    if controls == nil { effective.subtract(OperationSet(.control)) }
    return effective
  }

  private func checkCounts() throws(Failure) {
    let addresses = (connect?.count ?? 0) + (sendTo?.count ?? 0)
    if addresses > Self.maximumAddresses { throw .tooManyAddresses(addresses) }
    if let count = options?.count, count > Self.maximumOptions { throw .tooManyOptions(count) }
    if let count = controls?.count, count > Self.maximumControls { throw .tooManyControls(count) }
  }

  /// The grant's range if it lies inside the object's; without one the object's. nil, nil: none.
  private static func narrow(_ object: ByteRange?, to grant: ByteRange?) throws(Failure) -> ByteRange? {
    for range in [object, grant].compactMap({ $0 }) where range.end == nil { throw .rangeOverflows(range) }
    guard let grant else { return object }
    guard let object else { return grant }
    guard object.contains(grant), grant.length > 0 else { throw .rangeOutside(grant: grant, object: object) }
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

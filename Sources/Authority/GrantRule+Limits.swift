import Instructions

extension AssociationLimits {
  /// The object's limits narrowed by the grant's: what the grant names beyond the object's is not allowed by it.
  ///
  /// Returns nil where the two ranges have nothing in common.
  public init?(_ object: ObjectDefinition, narrowedBy rule: GrantRule) {
    self.init()
    switch object.specification {
    case .disk(let disk):
      access = disk.access == .readOnly || rule.access == .readOnly ? .readOnly : .readWrite
      guard let narrower = rule.range else {
        range = disk.range
        break
      }
      guard let common = narrower.intersection(disk.range) else { return nil }
      range = common
    case .socket(let socket):
      connect = narrow(socket.connect, by: rule.connect) { $0.covers($1) }
      sendTo = narrow(socket.sendTo, by: rule.sendTo) { $0.covers($1) }
      options = narrow(socket.options, by: rule.options) { $0.level == $1.level && $0.option == $1.option }
    case .bus(let bus):
      ioctls = narrow(bus.ioctls, by: rule.ioctls) { $0.request == $1.request }
    }
  }

  /// The operations among `operations` that the limits leave something of.
  ///
  /// An operation whose limit key is missing would be refused each time (libcasper's advisory: a key left out meant
  /// "allow any"); so it is not granted at all, and `can-i` says no.
  public func effective(_ operations: OperationSet) -> OperationSet {
    var effective = operations
    if access == .readOnly { effective.subtract(OperationSet([.write, .discard])) }
    if connect.isEmpty { effective.subtract(OperationSet(.connect)) }
    if sendTo.isEmpty { effective.subtract(OperationSet(.send)) }
    if options.isEmpty { effective.subtract(OperationSet(.setoption)) }
    if ioctls.isEmpty { effective.subtract(OperationSet(.control)) }
    return effective
  }
}

private func narrow<Item>(_ wider: [Item], by narrower: [Item]?, covers: (Item, Item) -> Bool) -> [Item] {
  guard let narrower else { return wider }
  return narrower.filter { item in wider.contains { covers($0, item) } }
}

extension ByteRange {
  /// The first byte after it; nil: beyond 64 bits.
  public var end: UInt64? {
    let (end, overflow) = offset.addingReportingOverflow(length)
    return overflow ? nil : end
  }

  /// Whether every byte of `other` is in this range.
  public func contains(_ other: ByteRange) -> Bool {
    guard let end, let otherEnd = other.end else { return false }
    return other.offset >= offset && otherEnd <= end
  }

  /// What both have in common; `nil` as the other range is everything. nil: nothing.
  func intersection(_ other: ByteRange?) -> ByteRange? {
    guard let end else { return nil }
    guard let other else { return self }
    guard let otherEnd = other.end else { return nil }
    let first = max(offset, other.offset)
    let last = min(end, otherEnd)
    return first < last ? ByteRange(offset: first, length: last - first) : nil
  }
}

extension AddressPattern {
  /// Whether every destination that `other` allows is allowed by this pattern.
  public func covers(_ other: AddressPattern) -> Bool {
    guard address.family == other.address.family, prefixLength <= other.prefixLength,
      ports.lowerBound <= other.ports.lowerBound, ports.upperBound >= other.ports.upperBound
    else { return false }
    return sharesPrefix(with: other.address)
  }

  /// Whether the first `prefixLength` bits of `address` are the pattern's.
  public func sharesPrefix(with other: NetworkAddress) -> Bool {
    guard address.family == other.family, Int(prefixLength) <= address.family.bitCount else { return false }
    for bit in 0..<Int(prefixLength) {
      let mask = UInt8(0x80) >> UInt8(bit % 8)
      if address.bytes[bit / 8] & mask != other.bytes[bit / 8] & mask { return false }
    }
    return true
  }
}

extension NetworkAddress.Family {
  /// How many bits an address has.
  public var bitCount: Int {
    switch self {
    case .ipv4: 32
    case .ipv6: 128
    }
  }
}

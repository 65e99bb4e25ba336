import Instructions

/// A destination pattern: `127.0.0.0/8`, `10.0.0.1:53`, `[fe80::]/10`, with an inclusive port range.
public struct AddressPattern: Sendable, Hashable {
  /// The port is not used.
  public var address: NetworkAddress
  public var prefixLength: UInt8
  public var ports: ClosedRange<UInt16>

  public init(address: NetworkAddress, prefixLength: UInt8, ports: ClosedRange<UInt16> = 0...65535) {
    self.address = address
    self.prefixLength = prefixLength
    self.ports = ports
  }
}

extension AddressPattern {
  /// Whether every destination that `other` allows is allowed by this pattern.
  public func covers(_ other: AddressPattern) -> Bool {
    guard prefixLength <= other.prefixLength,
      ports.lowerBound <= other.ports.lowerBound, ports.upperBound >= other.ports.upperBound
    else { return false }
    return sharesPrefix(with: other.address)
  }

  /// Whether the address is of the pattern's family and its first `prefixLength` bits are the pattern's.
  public func sharesPrefix(with other: NetworkAddress) -> Bool {
    guard address.family == other.family, Int(prefixLength) <= address.family.bitCount else { return false }
    for bit in 0..<Int(prefixLength) {
      let mask = UInt8(0x80) >> UInt8(bit % 8)
      if address.bytes[bit / 8] & mask != other.bytes[bit / 8] & mask { return false }
    }
    return true
  }

  /// The destinations that both patterns allow, or nil: of two prefixes one contains the other or they are disjoint.
  public func intersection(_ other: AddressPattern) -> AddressPattern? {
    let first = max(ports.lowerBound, other.ports.lowerBound)
    let last = min(ports.upperBound, other.ports.upperBound)
    let (wider, narrower) = prefixLength <= other.prefixLength ? (self, other) : (other, self)
    guard first <= last, wider.sharesPrefix(with: narrower.address) else { return nil }
    return AddressPattern(address: narrower.address, prefixLength: narrower.prefixLength, ports: first...last)
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

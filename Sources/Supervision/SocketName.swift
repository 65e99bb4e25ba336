import Instructions

/// What a program gave to bind(2), from one private copy of its memory.
public struct SocketName: Sendable, Hashable {
  public enum Form: Sendable, Hashable {
    case internet(NetworkAddress)
    /// A path in the file system, without the terminating zero.
    case unixPath([UInt8])
    /// Families and forms in which no privileged object can be named.
    case other
  }

  /// Exactly what is given to the kernel on the program's behalf.
  public let bytes: [UInt8]
  public let form: Form
  /// An IPv4 address in an IPv6 name (`::ffff:0:0/96`, RFC 4291).
  public let isMapped: Bool

  /// - Parameter bytes: a `struct sockaddr` of the length that the program stated.
  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
    var mapped = false
    form = SocketName.form(bytes, &mapped)
    isMapped = mapped
  }

  /// sizeof(struct sockaddr_storage): a longer name is EINVAL in the kernel.
  static let limit = 128

  private static func form(_ bytes: [UInt8], _ mapped: inout Bool) -> Form {
    guard bytes.count >= 2 else { return .other }
    switch UInt16(bytes[0]) | UInt16(bytes[1]) << 8 {
    case 1:
      // unix(7): an abstract name begins with a zero byte, an empty one asks for any.
      let path = bytes[2...].prefix { $0 != 0 }
      return path.isEmpty ? .other : .unixPath(Array(path))
    case 2:
      guard bytes.count >= 16 else { return .other }
      return .internet(address(.ipv4, bytes[4..<8], port: port(bytes)))
    case 10:
      // SIN6_LEN_RFC2133: without the scope.
      guard bytes.count >= 24 else { return .other }
      let address = bytes[8..<24]
      mapped = address.prefix(10).allSatisfy { $0 == 0 } && address.dropFirst(10).prefix(2).allSatisfy { $0 == 0xff }
      return .internet(
        mapped
          ? self.address(.ipv4, address.suffix(4), port: port(bytes)) : self.address(.ipv6, address, port: port(bytes)))
    default: return .other
    }
  }

  static func lastComponent(_ path: String) -> [UInt8]? {
    path.utf8.split(separator: UInt8(ascii: "/")).last.map(Array.init)
  }

  private static func port(_ bytes: [UInt8]) -> UInt16 { UInt16(bytes[2]) << 8 | UInt16(bytes[3]) }

  private static func address(_ family: NetworkAddress.Family, _ bytes: ArraySlice<UInt8>, port: UInt16)
    -> NetworkAddress
  {
    var content = InlineArray<16, UInt8>(repeating: 0)
    for (index, byte) in bytes.enumerated() { content[index] = byte }
    return NetworkAddress(family: family, bytes: content, port: port)
  }
}

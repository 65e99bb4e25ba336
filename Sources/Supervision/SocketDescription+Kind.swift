import Instructions
import Linux

extension SocketNature {
  var isStream: Bool { type == 1 }
  /// MPTCP (262) listens on the same ports and takes plain TCP as well; Go's servers ask for it.
  var isTCP: Bool { ipProtocol == 6 || ipProtocol == 262 }
  var isDatagram: Bool { type == 2 }
  var isRaw: Bool { type == 3 && (domain == 2 || domain == 10) }
  var isPacket: Bool { domain == 17 }
  var isUnix: Bool { domain == 1 }

  /// Whether an address of this family names what the socket can be bound to; an IPv6 socket takes IPv4 addresses in
  /// their mapped form.
  func isInternet(_ family: NetworkAddress.Family, mapped: Bool) -> Bool {
    switch family {
    case .ipv4: domain == (mapped ? 10 : 2)
    case .ipv6: domain == 10
    }
  }
}

extension SocketDescription {
  /// What it is bound to, an IPv4 address in IPv6 form as the IPv4 address it is.
  var address: NetworkAddress? {
    guard case .network(let address) = local else { return nil }
    return address.unmapped
  }

  /// The last component of a unix socket's path.
  var lastComponent: [UInt8]? {
    guard case .unix(let path) = local, path.first != 0 else { return nil }
    return path.split(separator: UInt8(ascii: "/")).last.map(Array.init)
  }
}

extension NetworkAddress {
  /// The IPv4 address of `::ffff:0:0/96` (RFC 4291), or itself.
  var unmapped: NetworkAddress {
    guard family == .ipv6, (0..<10).allSatisfy({ bytes[$0] == 0 }), bytes[10] == 0xff, bytes[11] == 0xff else {
      return self
    }
    var inner = InlineArray<16, UInt8>(repeating: 0)
    for index in 0..<4 { inner[index] = bytes[12 + index] }
    return NetworkAddress(family: .ipv4, bytes: inner, port: port)
  }
}

extension NetworkAddress {
  /// `192.0.2.1:80`, `[2001:db8:0:0:0:0:0:1]:80`; IPv6 groups are written out, never shortened.
  public var text: String {
    switch family {
    case .ipv4:
      return (0..<4).map { String(bytes[$0]) }.joined(separator: ".") + ":\(port)"
    case .ipv6:
      let groups = (0..<8).map {
        String(UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]), radix: 16)
      }
      return "[" + groups.joined(separator: ":") + "]:\(port)"
    }
  }
}

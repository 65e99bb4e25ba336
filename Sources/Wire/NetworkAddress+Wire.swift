import Instructions

extension NetworkAddress {
  /// Family 0 means no address, and then port and bytes are zero; IPv4 leaves the last 12 bytes zero.
  @inline(__always)
  static func decode(
    _ bytes: Span<UInt8>, family familyOffset: Int, port portOffset: Int, address: Int
  ) throws(WireError) -> NetworkAddress? {
    let code = bytes[familyOffset]
    let port = bytes.word16(portOffset)
    if code == 0 {
      guard port == 0, bytes.word64(address) | bytes.word64(address &+ 8) == 0 else { throw .badValue(.family) }
      return nil
    }
    guard let family = Family(rawValue: code) else { throw .badValue(.family) }
    if family == .ipv4, bytes.word32(address &+ 4) != 0 || bytes.word64(address &+ 8) != 0 {
      throw .badValue(.family)
    }
    var content = InlineArray<16, UInt8>(repeating: 0)
    for index in 0..<16 { content[index] = bytes[address &+ index] }
    return NetworkAddress(family: family, bytes: content, port: port)
  }

  @inline(__always)
  static func encode(
    _ value: NetworkAddress?, into bytes: inout MutableSpan<UInt8>, family: Int, port: Int, address: Int
  ) {
    guard let value else {
      bytes[family] = 0
      bytes.store(UInt16(0), at: port)
      bytes.store(UInt64(0), at: address)
      bytes.store(UInt64(0), at: address &+ 8)
      return
    }
    bytes[family] = value.family.rawValue
    bytes.store(value.port, at: port)
    let used = value.family == .ipv4 ? 4 : 16
    for index in 0..<16 { bytes[address &+ index] = index < used ? value.bytes[index] : 0 }
  }
}

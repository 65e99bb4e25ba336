import Glibc
import Instructions
import Postern

/// Between `struct sockaddr` and `NetworkAddress`: AF_INET and AF_INET6.
enum SocketAddress {
  /// nil where none is given.
  static func decode(_ pointer: UnsafePointer<sockaddr>?, _ length: socklen_t) throws(PosternError) -> NetworkAddress? {
    guard let pointer = unsafe pointer else {
      guard length == 0 else { throw Calls.badAddress }
      return nil
    }
    // SAFETY: the caller promises `length` bytes; each is read only where that many are there.
    let bytes = unsafe UnsafeRawBufferPointer(start: pointer, count: Int(length))
    guard bytes.count >= 2 else { throw Calls.invalid("an address is too short") }
    let family = unsafe bytes.loadUnaligned(as: sa_family_t.self)
    switch Int32(family) {
    case AF_INET:
      guard bytes.count >= MemoryLayout<sockaddr_in>.size else { throw Calls.invalid("an address is too short") }
      return unsafe address(.ipv4, bytes, at: 4, count: 4)
    case AF_INET6:
      guard bytes.count >= MemoryLayout<sockaddr_in6>.size else { throw Calls.invalid("an address is too short") }
      return unsafe address(.ipv6, bytes, at: 8, count: 16)
    default:
      throw .usage(errno: EAFNOSUPPORT, text: "only IPv4 and IPv6 addresses")
    }
  }

  /// Fields as <netinet/in.h> lays them out: family, port at 2, then the address at 4 (IPv4) or 8 (IPv6).
  private static func address(
    _ family: NetworkAddress.Family, _ bytes: UnsafeRawBufferPointer, at offset: Int, count: Int
  ) -> NetworkAddress {
    var value = InlineArray<16, UInt8>(repeating: 0)
    // SAFETY: the caller has checked the length.
    for index in 0..<count { value[index] = unsafe bytes[offset + index] }
    let port = unsafe UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    return NetworkAddress(family: family, bytes: value, port: port)
  }

  static func encode(_ address: NetworkAddress) -> [UInt8] {
    var bytes: [UInt8]
    switch address.family {
    case .ipv4:
      bytes = [UInt8](repeating: 0, count: MemoryLayout<sockaddr_in>.size)
      for index in 0..<4 { bytes[4 + index] = address.bytes[index] }
    case .ipv6:
      bytes = [UInt8](repeating: 0, count: MemoryLayout<sockaddr_in6>.size)
      for index in 0..<16 { bytes[8 + index] = address.bytes[index] }
    }
    // sa_family_t is in host order, the port in network order.
    let family = UInt16(address.family.rawValue)
    bytes[0] = UInt8(truncatingIfNeeded: UInt16(littleEndian: family))
    bytes[1] = UInt8(truncatingIfNeeded: UInt16(littleEndian: family) >> 8)
    bytes[2] = UInt8(truncatingIfNeeded: address.port >> 8)
    bytes[3] = UInt8(truncatingIfNeeded: address.port)
    return bytes
  }

  /// As accept(2): cut to `*length` bytes, and `*length` set to the whole address's; 0 where there is none.
  static func store(
    _ address: NetworkAddress?, _ pointer: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?
  ) {
    guard let length = unsafe length else { return }
    let bytes = address.map(encode) ?? []
    let room = unsafe min(bytes.count, Int(length.pointee))
    if let pointer = unsafe pointer {
      // SAFETY: the caller promises `*length` bytes.
      unsafe UnsafeMutableRawBufferPointer(start: pointer, count: room).copyBytes(from: bytes[..<room])
    }
    unsafe length.pointee = socklen_t(bytes.count)
  }
}

import CLinux
import Glibc
import Instructions

extension clinux_address {
  init(_ address: NetworkAddress) {
    self.init()
    family = address.family == .ipv4 ? UInt16(AF_INET) : UInt16(AF_INET6)
    port = address.port
    for index in 0..<8 {
      high = high << 8 | UInt64(address.bytes[index])
      low = low << 8 | UInt64(address.bytes[index + 8])
    }
  }
}

extension NetworkAddress {
  /// nil where the kernel named no address, or one of a family that has no NetworkAddress.
  init?(_ address: clinux_address) {
    let family: Family
    switch Int32(address.family) {
    case AF_INET: family = .ipv4
    case AF_INET6: family = .ipv6
    default: return nil
    }
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    for index in 0..<8 {
      bytes[index] = UInt8(truncatingIfNeeded: address.high >> UInt64(56 - 8 * index))
      bytes[index + 8] = UInt8(truncatingIfNeeded: address.low >> UInt64(56 - 8 * index))
    }
    self.init(family: family, bytes: bytes, port: address.port)
  }

  /// Whether this is `0.0.0.0` or `[::]`.
  public var isUnspecified: Bool {
    for index in bytes.indices where bytes[index] != 0 { return false }
    return true
  }
}

import Authority
import Instructions

/// Addresses as people write them, without the resolver: names are never looked up.
enum NetworkText {
  /// `127.0.0.1`; parts are decimal without leading zeros.
  static func ipv4(_ text: some StringProtocol) -> InlineArray<16, UInt8>? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    for (index, part) in parts.enumerated() {
      guard part.count <= 3, case .value(let value) = wholeNumber(String(part)), !part.hasPrefix("0x"), value <= 255
      else { return nil }
      bytes[index] = UInt8(value)
    }
    return bytes
  }

  /// RFC 4291's text forms, without a zone.
  static func ipv6(_ text: some StringProtocol) -> InlineArray<16, UInt8>? {
    let text = String(text)
    let halves = text.split(separator: "::", omittingEmptySubsequences: false).map(String.init)
    guard halves.count <= 2, let head = groups(halves[0], last: halves.count == 1) else { return nil }
    var all = head
    if halves.count == 2 {
      guard let tail = groups(halves[1], last: true), head.count + tail.count <= 14 else { return nil }
      all += Array(repeating: 0, count: 16 - head.count - tail.count) + tail
    }
    guard all.count == 16 else { return nil }
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    for (index, byte) in all.enumerated() { bytes[index] = byte }
    return bytes
  }

  /// Colon-separated groups as bytes; the last may be an IPv4 address.
  private static func groups(_ text: String, last: Bool) -> [UInt8]? {
    if text.isEmpty { return [] }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    var bytes: [UInt8] = []
    for (index, part) in parts.enumerated() {
      if part.contains(".") {
        guard last, index == parts.count - 1, let tail = ipv4(part) else { return nil }
        for position in 0..<4 { bytes.append(tail[position]) }
        continue
      }
      guard (1...4).contains(part.utf8.count), part.allSatisfy(\.isHexDigit), let value = UInt16(part, radix: 16)
      else { return nil }
      bytes += [UInt8(value >> 8), UInt8(value & 0xFF)]
    }
    return bytes
  }

  static func port(_ text: some StringProtocol) -> UInt16? {
    guard case .value(let value) = wholeNumber(String(text)), !text.hasPrefix("0x"), value <= 65535 else { return nil }
    return UInt16(value)
  }

  /// `127.0.0.1:80` or `[::1]:80`.
  static func endpoint(_ text: some StringProtocol) -> NetworkAddress? {
    if text.hasPrefix("[") {
      guard let close = text.firstIndex(of: "]"), text[close...].hasPrefix("]:"),
        let bytes = ipv6(text[text.index(after: text.startIndex)..<close]),
        let port = port(text[text.index(close, offsetBy: 2)...])
      else { return nil }
      return NetworkAddress(family: .ipv6, bytes: bytes, port: port)
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let bytes = ipv4(parts[0]), let port = port(parts[1]) else { return nil }
    return NetworkAddress(family: .ipv4, bytes: bytes, port: port)
  }

  enum PatternMistake: Error, Equatable {
    case syntax
    case prefixLength(maximum: Int)
    case hostBits
    case ports
  }

  /// `10.0.0.1`, `127.0.0.0/8`, `10.0.0.1:53`, `10.0.0.0/8:1000-2000`, `::1`, `[fe80::]/10`, `[::1]:53`.
  static func pattern(_ text: String) throws(PatternMistake) -> AddressPattern {
    var rest = text[...]
    let bytes: InlineArray<16, UInt8>?
    let family: NetworkAddress.Family
    var portAllowed = true
    if rest.hasPrefix("[") {
      guard let close = rest.firstIndex(of: "]") else { throw .syntax }
      (bytes, family) = (ipv6(rest[rest.index(after: rest.startIndex)..<close]), .ipv6)
      rest = rest[rest.index(after: close)...]
    } else if rest.filter({ $0 == ":" }).count >= 2 {
      // Without brackets a port could not be told from a group.
      let end = rest.firstIndex(of: "/") ?? rest.endIndex
      (bytes, family, portAllowed) = (ipv6(rest[..<end]), .ipv6, false)
      rest = rest[end...]
    } else {
      let end = rest.firstIndex { $0 == "/" || $0 == ":" } ?? rest.endIndex
      (bytes, family) = (ipv4(rest[..<end]), .ipv4)
      rest = rest[end...]
    }
    guard let bytes else { throw .syntax }
    var prefix = family.bitCount
    if rest.hasPrefix("/") {
      let end = rest.firstIndex(of: ":") ?? rest.endIndex
      guard case .value(let value) = wholeNumber(String(rest[rest.index(after: rest.startIndex)..<end])) else {
        throw .syntax
      }
      guard value <= UInt64(family.bitCount) else { throw .prefixLength(maximum: family.bitCount) }
      prefix = Int(value)
      rest = rest[end...]
    }
    var ports: ClosedRange<UInt16> = 0...65535
    if rest.hasPrefix(":"), portAllowed {
      let bounds = rest.dropFirst().split(separator: "-", omittingEmptySubsequences: false)
      guard (1...2).contains(bounds.count), let first = port(bounds[0]), let last = port(bounds[bounds.count - 1]),
        first <= last
      else { throw .ports }
      ports = first...last
    } else if !rest.isEmpty {
      throw .syntax
    }
    for bit in prefix..<family.bitCount where bytes[bit / 8] & (0x80 >> UInt8(bit % 8)) != 0 { throw .hostBits }
    return AddressPattern(
      address: NetworkAddress(family: family, bytes: bytes, port: 0), prefixLength: UInt8(prefix), ports: ports)
  }
}

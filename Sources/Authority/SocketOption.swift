/// A socket option by its numbers, under the name of its constant (`SO_KEEPALIVE`).
public struct SocketOption: Sendable, Hashable {
  public var name: String
  public var level: UInt16
  public var option: UInt16

  public init(name: String, level: UInt16, option: UInt16) {
    self.name = name
    self.level = level
    self.option = option
  }
}

/// The options that a socket object can pass on, as Linux numbers them.
///
/// The broker makes the call, so an option whose value holds an address (SO_ATTACH_FILTER, TCP_ZEROCOPY_RECEIVE: the
/// kernel would read or write the broker's own memory there), a descriptor number (SO_ATTACH_BPF, SO_PEERPIDFD), or that
/// needs a mapping (PACKET_RX_RING) must not be passed on; nor one that lets later data name another destination than the
/// one checked (IP_HDRINCL, IP_OPTIONS, IPV6_RTHDR, UDP_CORK), nor one that tells things in control messages, which the
/// broker does not carry (IP_PKTINFO, SO_TIMESTAMP). Hence a list of what is known to be harmless, not of what is not.
extension SocketOption {
  /// The option that a policy's word names and that can be set, or nil.
  public init?(settable name: String) {
    guard let known = Self.table.first(where: { $0.option.name == name && $0.isSettable }) else { return nil }
    self = known.option
  }

  /// The options that can be set, and so stand in a policy.
  public static var settableNames: [String] { table.filter(\.isSettable).map(\.option.name) }

  /// Whether the option may be asked for; setting one that cannot be set is left to the kernel to refuse.
  public static func isPassedOn(level: UInt16, option: UInt16) -> Bool {
    table.contains { $0.option.level == level && $0.option.option == option }
  }

  /// Every option that is passed on.
  public static var passedOn: [SocketOption] { table.map(\.option) }

  private static let table: [(option: SocketOption, isSettable: Bool)] =
    // SOL_SOCKET (asm-generic/socket.h)
    at(
      1,
      [
        "SO_REUSEADDR": 2, "SO_DONTROUTE": 5, "SO_BROADCAST": 6, "SO_SNDBUF": 7, "SO_RCVBUF": 8, "SO_KEEPALIVE": 9,
        "SO_OOBINLINE": 10, "SO_PRIORITY": 12, "SO_LINGER": 13, "SO_REUSEPORT": 15, "SO_RCVLOWAT": 18,
        "SO_RCVTIMEO": 20, "SO_SNDTIMEO": 21, "SO_BINDTODEVICE": 25, "SO_SNDBUFFORCE": 32, "SO_RCVBUFFORCE": 33,
        "SO_MARK": 36, "SO_BUSY_POLL": 46, "SO_MAX_PACING_RATE": 47, "SO_INCOMING_CPU": 49,
      ],
      readOnly: [
        "SO_TYPE": 3, "SO_ERROR": 4, "SO_SNDLOWAT": 19, "SO_ACCEPTCONN": 30, "SO_PROTOCOL": 38, "SO_DOMAIN": 39,
      ])
    // IPPROTO_IP (linux/in.h)
    + at(
      0,
      [
        "IP_TOS": 1, "IP_TTL": 2, "IP_MTU_DISCOVER": 10, "IP_FREEBIND": 15, "IP_TRANSPARENT": 19, "IP_MINTTL": 21,
        "IP_MULTICAST_IF": 32, "IP_MULTICAST_TTL": 33, "IP_MULTICAST_LOOP": 34, "IP_ADD_MEMBERSHIP": 35,
        "IP_DROP_MEMBERSHIP": 36, "IP_MULTICAST_ALL": 49, "IP_UNICAST_IF": 50,
      ],
      readOnly: ["IP_MTU": 14])
    // IPPROTO_TCP (linux/tcp.h)
    + at(
      6,
      [
        "TCP_NODELAY": 1, "TCP_MAXSEG": 2, "TCP_CORK": 3, "TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6,
        "TCP_SYNCNT": 7, "TCP_LINGER2": 8, "TCP_DEFER_ACCEPT": 9, "TCP_WINDOW_CLAMP": 10, "TCP_QUICKACK": 12,
        "TCP_CONGESTION": 13, "TCP_USER_TIMEOUT": 18, "TCP_FASTOPEN": 23, "TCP_NOTSENT_LOWAT": 25,
      ],
      readOnly: ["TCP_INFO": 11])
    // IPPROTO_IPV6 (linux/in6.h)
    + at(
      41,
      [
        "IPV6_CHECKSUM": 7, "IPV6_UNICAST_HOPS": 16, "IPV6_MULTICAST_IF": 17, "IPV6_MULTICAST_HOPS": 18,
        "IPV6_MULTICAST_LOOP": 19, "IPV6_JOIN_GROUP": 20, "IPV6_LEAVE_GROUP": 21, "IPV6_MTU_DISCOVER": 23,
        "IPV6_MTU": 24, "IPV6_V6ONLY": 26, "IPV6_TCLASS": 67,
      ])
    // IPPROTO_ICMPV6 (linux/icmpv6.h): a bitmap.
    + at(58, ["ICMPV6_FILTER": 1])
    // SOL_RAW (linux/icmp.h): a bitmap.
    + at(255, ["ICMP_FILTER": 1])
    // SOL_PACKET (linux/if_packet.h)
    + at(
      263, ["PACKET_ADD_MEMBERSHIP": 1, "PACKET_DROP_MEMBERSHIP": 2], readOnly: ["PACKET_STATISTICS": 6])

  private static func at(
    _ level: UInt16, _ settable: KeyValuePairs<String, UInt16>, readOnly: KeyValuePairs<String, UInt16> = [:]
  ) -> [(option: SocketOption, isSettable: Bool)] {
    settable.map { (SocketOption(name: $0.key, level: level, option: $0.value), true) }
      + readOnly.map { (SocketOption(name: $0.key, level: level, option: $0.value), false) }
  }
}

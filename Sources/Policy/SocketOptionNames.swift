import Authority

/// Socket options by the names of their constants, as Linux numbers them (asm-generic/socket.h, linux/in.h, in6.h, tcp.h).
enum SocketOptionNames {
  static func option(named name: String) -> SocketOption? {
    table[name].map { SocketOption(name: name, level: $0.level, option: $0.option) }
  }

  static var names: [String] { table.keys.sorted() }

  private static let table: [String: (level: UInt16, option: UInt16)] = {
    var table: [String: (level: UInt16, option: UInt16)] = [:]
    for (level, options) in levels { for (name, number) in options { table[name] = (level, number) } }
    return table
  }()

  private static let levels: [(UInt16, KeyValuePairs<String, UInt16>)] = [
    // SOL_SOCKET
    (
      1,
      [
        "SO_DEBUG": 1, "SO_REUSEADDR": 2, "SO_DONTROUTE": 5, "SO_BROADCAST": 6, "SO_SNDBUF": 7, "SO_RCVBUF": 8,
        "SO_KEEPALIVE": 9, "SO_OOBINLINE": 10, "SO_PRIORITY": 12, "SO_LINGER": 13, "SO_REUSEPORT": 15,
        "SO_PASSCRED": 16, "SO_RCVLOWAT": 18, "SO_RCVTIMEO": 20, "SO_SNDTIMEO": 21, "SO_BINDTODEVICE": 25,
        "SO_ATTACH_FILTER": 26, "SO_DETACH_FILTER": 27, "SO_TIMESTAMP": 29, "SO_SNDBUFFORCE": 32,
        "SO_RCVBUFFORCE": 33, "SO_TIMESTAMPNS": 35, "SO_MARK": 36, "SO_TIMESTAMPING": 37, "SO_RXQ_OVFL": 40,
        "SO_LOCK_FILTER": 44, "SO_BUSY_POLL": 46, "SO_MAX_PACING_RATE": 47, "SO_INCOMING_CPU": 49, "SO_ZEROCOPY": 60,
        "SO_TXTIME": 61,
      ]
    ),
    // IPPROTO_IP
    (
      0,
      [
        "IP_TOS": 1, "IP_TTL": 2, "IP_HDRINCL": 3, "IP_OPTIONS": 4, "IP_RECVOPTS": 6, "IP_PKTINFO": 8,
        "IP_MTU_DISCOVER": 10, "IP_RECVERR": 11, "IP_RECVTTL": 12, "IP_RECVTOS": 13, "IP_FREEBIND": 15,
        "IP_TRANSPARENT": 19, "IP_BIND_ADDRESS_NO_PORT": 24, "IP_MULTICAST_IF": 32, "IP_MULTICAST_TTL": 33,
        "IP_MULTICAST_LOOP": 34, "IP_ADD_MEMBERSHIP": 35, "IP_DROP_MEMBERSHIP": 36,
      ]
    ),
    // IPPROTO_TCP
    (
      6,
      [
        "TCP_NODELAY": 1, "TCP_MAXSEG": 2, "TCP_CORK": 3, "TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6,
        "TCP_SYNCNT": 7, "TCP_LINGER2": 8, "TCP_DEFER_ACCEPT": 9, "TCP_WINDOW_CLAMP": 10, "TCP_QUICKACK": 12,
        "TCP_CONGESTION": 13, "TCP_USER_TIMEOUT": 18, "TCP_FASTOPEN": 23, "TCP_NOTSENT_LOWAT": 25,
        "TCP_FASTOPEN_CONNECT": 30,
      ]
    ),
    // IPPROTO_IPV6
    (
      41,
      [
        "IPV6_UNICAST_HOPS": 16, "IPV6_MULTICAST_IF": 17, "IPV6_MULTICAST_HOPS": 18, "IPV6_MULTICAST_LOOP": 19,
        "IPV6_JOIN_GROUP": 20, "IPV6_LEAVE_GROUP": 21, "IPV6_MTU_DISCOVER": 23, "IPV6_RECVERR": 25, "IPV6_V6ONLY": 26,
        "IPV6_RECVPKTINFO": 49, "IPV6_RECVHOPLIMIT": 51, "IPV6_RECVTCLASS": 66, "IPV6_TCLASS": 67,
      ]
    ),
    // SOL_ICMPV6
    (58, ["ICMPV6_FILTER": 1]),
    // SOL_RAW
    (255, ["ICMP_FILTER": 1]),
    // SOL_PACKET
    (263, ["PACKET_ADD_MEMBERSHIP": 1, "PACKET_DROP_MEMBERSHIP": 2, "PACKET_STATISTICS": 6, "PACKET_AUXDATA": 8]),
  ]
}

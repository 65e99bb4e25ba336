import Glibc
import Instructions
import Linux

extension SocketObject {
  /// Bytes of an option's value.
  static let optionLimit = 256

  func getOption(_ operands: Operands, into output: inout OutputRawSpan) throws(SystemError) -> Effect {
    let option = OptionNumber(operands.request)
    guard option.isPlain else { return .failed(errno: ENOPROTOOPT) }
    let limit = operands.length == 0 ? Self.optionLimit : min(Int(clamping: operands.length), Self.optionLimit)
    let count = try descriptor.getOption(level: option.level, name: option.name, upTo: limit, into: &output)
    return .done(UInt64(count))
  }

  func setOption(_ operands: Operands, _ value: RawSpan) throws(SystemError) -> Effect {
    let option = OptionNumber(operands.request)
    guard option.isPlain else { return .failed(errno: ENOPROTOOPT) }
    guard value.byteCount <= Self.optionLimit else { return .failed(errno: EINVAL) }
    try descriptor.setOption(level: option.level, name: option.name, to: value)
    return .done(0)
  }
}

/// A socket option's numbers, `level << 16 | name` in an instruction.
struct OptionNumber: Sendable {
  var level: Int32
  var name: Int32

  init(_ request: UInt32) {
    level = Int32(request >> 16)
    name = Int32(request & 0xffff)
  }

  /// Whether the option's value means the same in the broker as in the application.
  ///
  /// The broker makes the call, so an option whose value holds an address (SO_ATTACH_FILTER, TCP_ZEROCOPY_RECEIVE:
  /// the kernel would read or write the broker's own memory there), a descriptor number (SO_ATTACH_BPF,
  /// SO_PEERPIDFD), or that needs a mapping (PACKET_RX_RING) must not be passed on; nor one that lets later data name
  /// another destination than the one checked (IP_HDRINCL, IP_OPTIONS, IPV6_RTHDR, UDP_CORK). Hence a list of what
  /// is known to be harmless, not of what is not.
  var isPlain: Bool {
    switch level {
    case SOL_SOCKET: Self.socketLevel.contains(name)
    case Int32(IPPROTO_IP): Self.ipLevel.contains(name)
    case Int32(IPPROTO_TCP): Self.tcpLevel.contains(name)
    case Int32(IPPROTO_IPV6): Self.ipv6Level.contains(name)
    // ICMP6_FILTER: a bitmap.
    case Int32(IPPROTO_ICMPV6): name == 1
    // ICMP_FILTER: a bitmap.
    case SOL_RAW: name == 1
    // PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP, PACKET_STATISTICS
    case SOL_PACKET: name == 1 || name == 2 || name == 6
    default: false
    }
  }

  private static let socketLevel: Set<Int32> = [
    SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_OOBINLINE,
    SO_PRIORITY, SO_LINGER, SO_REUSEPORT, SO_RCVLOWAT, SO_SNDLOWAT, SO_RCVTIMEO, SO_SNDTIMEO, SO_BINDTODEVICE,
    SO_ACCEPTCONN, SO_SNDBUFFORCE, SO_RCVBUFFORCE, SO_MARK, SO_PROTOCOL, SO_DOMAIN, SO_BUSY_POLL,
    SO_MAX_PACING_RATE, SO_INCOMING_CPU,
  ]
  private static let ipLevel: Set<Int32> = [
    IP_TOS, IP_TTL, IP_MTU_DISCOVER, IP_MTU, IP_FREEBIND, IP_TRANSPARENT, IP_MINTTL, IP_MULTICAST_IF,
    IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_MULTICAST_ALL, IP_UNICAST_IF,
  ]
  private static let tcpLevel: Set<Int32> = [
    TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2,
    TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP, TCP_INFO, TCP_QUICKACK, TCP_CONGESTION, TCP_USER_TIMEOUT, TCP_FASTOPEN,
    TCP_NOTSENT_LOWAT,
  ]
  private static let ipv6Level: Set<Int32> = [
    IPV6_UNICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_JOIN_GROUP,
    IPV6_LEAVE_GROUP, IPV6_MTU_DISCOVER, IPV6_MTU, IPV6_V6ONLY, IPV6_TCLASS, IPV6_CHECKSUM,
  ]
}

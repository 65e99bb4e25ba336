import Authority
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct SocketOptionTests {
  let object: SocketObject

  init() throws { object = try openSocket(.tcp(ipv4(port: 0))) }

  @Test func `an option that was set is read back`() {
    let keepAlive = Operands(request: option(SOL_SOCKET, SO_KEEPALIVE))
    #expect(perform(object, .getoption, keepAlive).bytes == [0, 0, 0, 0])
    #expect(perform(object, .setoption, keepAlive, payload: [1, 0, 0, 0]).outcome == .done(0))
    let answer = perform(object, .getoption, keepAlive)
    #expect(answer.outcome == .done(4))
    #expect(answer.bytes == [1, 0, 0, 0])
  }

  /// The broker makes the call: an address or descriptor number in a value would be the broker's own.
  @Test(arguments: [
    ("TCP_ZEROCOPY_RECEIVE", option(6, 35)), ("SO_ATTACH_FILTER, SO_GET_FILTER", option(1, 26)),
    ("SO_ATTACH_BPF", option(1, 50)), ("SO_PEERPIDFD", option(1, 77)), ("SO_LOCK_FILTER", option(1, 44)),
    ("IP_HDRINCL", option(0, 3)), ("IP_OPTIONS", option(0, 4)), ("IPV6_RTHDR", option(41, 57)),
    ("IPT_SO_SET_REPLACE", option(0, 64)), ("PACKET_RX_RING", option(263, 5)), ("unknown level", option(0xffff, 1)),
  ]) func `an option that means something else in the broker is not passed on`(name: String, request: UInt32) {
    let value = [UInt8](repeating: 0, count: 64)
    #expect(perform(object, .setoption, Operands(request: request), payload: value).outcome == .failed(ENOPROTOOPT))
    #expect(perform(object, .getoption, Operands(request: request)).outcome == .failed(ENOPROTOOPT))
  }

  @Test func `a value of more than 256 bytes is refused`() {
    let request = option(Int32(IPPROTO_TCP), TCP_CONGESTION)
    let value = [UInt8](repeating: 0x61, count: 257)
    #expect(perform(object, .setoption, Operands(request: request), payload: value).outcome == .failed(EINVAL))
  }

  @Test func `a value is cut at the room for it`() {
    let answer = perform(object, .getoption, Operands(request: option(Int32(IPPROTO_TCP), TCP_INFO)), room: 10)
    #expect(answer.outcome == .done(10))
    #expect(answer.bytes.count == 10)
  }

  @Test func `the kernel's refusal of a value is told`() {
    let operands = Operands(request: option(SOL_SOCKET, SO_KEEPALIVE))
    #expect(perform(object, .setoption, operands, payload: [1]).outcome == .failed(EINVAL))
  }

  @Test func `the table has the numbers of the kernel's headers`() {
    let expected: [(String, Int32, Int32)] =
      [
        ("SO_REUSEADDR", SO_REUSEADDR), ("SO_TYPE", SO_TYPE), ("SO_ERROR", SO_ERROR), ("SO_DONTROUTE", SO_DONTROUTE),
        ("SO_BROADCAST", SO_BROADCAST), ("SO_SNDBUF", SO_SNDBUF), ("SO_RCVBUF", SO_RCVBUF),
        ("SO_KEEPALIVE", SO_KEEPALIVE), ("SO_OOBINLINE", SO_OOBINLINE), ("SO_PRIORITY", SO_PRIORITY),
        ("SO_LINGER", SO_LINGER), ("SO_REUSEPORT", SO_REUSEPORT), ("SO_RCVLOWAT", SO_RCVLOWAT),
        ("SO_SNDLOWAT", SO_SNDLOWAT), ("SO_RCVTIMEO", SO_RCVTIMEO), ("SO_SNDTIMEO", SO_SNDTIMEO),
        ("SO_BINDTODEVICE", SO_BINDTODEVICE), ("SO_ACCEPTCONN", SO_ACCEPTCONN), ("SO_SNDBUFFORCE", SO_SNDBUFFORCE),
        ("SO_RCVBUFFORCE", SO_RCVBUFFORCE), ("SO_MARK", SO_MARK), ("SO_PROTOCOL", SO_PROTOCOL),
        ("SO_DOMAIN", SO_DOMAIN), ("SO_BUSY_POLL", SO_BUSY_POLL), ("SO_MAX_PACING_RATE", SO_MAX_PACING_RATE),
        ("SO_INCOMING_CPU", SO_INCOMING_CPU),
      ].map { ($0.0, SOL_SOCKET, $0.1) }
      + [
        ("IP_TOS", IP_TOS), ("IP_TTL", IP_TTL), ("IP_MTU_DISCOVER", IP_MTU_DISCOVER), ("IP_MTU", IP_MTU),
        ("IP_FREEBIND", IP_FREEBIND), ("IP_TRANSPARENT", IP_TRANSPARENT), ("IP_MINTTL", IP_MINTTL),
        ("IP_MULTICAST_IF", IP_MULTICAST_IF), ("IP_MULTICAST_TTL", IP_MULTICAST_TTL),
        ("IP_MULTICAST_LOOP", IP_MULTICAST_LOOP), ("IP_ADD_MEMBERSHIP", IP_ADD_MEMBERSHIP),
        ("IP_DROP_MEMBERSHIP", IP_DROP_MEMBERSHIP), ("IP_MULTICAST_ALL", IP_MULTICAST_ALL),
        ("IP_UNICAST_IF", IP_UNICAST_IF),
      ].map { ($0.0, Int32(IPPROTO_IP), $0.1) }
      + [
        ("TCP_NODELAY", TCP_NODELAY), ("TCP_MAXSEG", TCP_MAXSEG), ("TCP_CORK", TCP_CORK),
        ("TCP_KEEPIDLE", TCP_KEEPIDLE), ("TCP_KEEPINTVL", TCP_KEEPINTVL), ("TCP_KEEPCNT", TCP_KEEPCNT),
        ("TCP_SYNCNT", TCP_SYNCNT), ("TCP_LINGER2", TCP_LINGER2), ("TCP_DEFER_ACCEPT", TCP_DEFER_ACCEPT),
        ("TCP_WINDOW_CLAMP", TCP_WINDOW_CLAMP), ("TCP_INFO", TCP_INFO), ("TCP_QUICKACK", TCP_QUICKACK),
        ("TCP_CONGESTION", TCP_CONGESTION), ("TCP_USER_TIMEOUT", TCP_USER_TIMEOUT), ("TCP_FASTOPEN", TCP_FASTOPEN),
        ("TCP_NOTSENT_LOWAT", TCP_NOTSENT_LOWAT),
      ].map { ($0.0, Int32(IPPROTO_TCP), $0.1) }
      + [
        ("IPV6_UNICAST_HOPS", IPV6_UNICAST_HOPS), ("IPV6_MULTICAST_IF", IPV6_MULTICAST_IF),
        ("IPV6_MULTICAST_HOPS", IPV6_MULTICAST_HOPS), ("IPV6_MULTICAST_LOOP", IPV6_MULTICAST_LOOP),
        ("IPV6_JOIN_GROUP", IPV6_JOIN_GROUP), ("IPV6_LEAVE_GROUP", IPV6_LEAVE_GROUP),
        ("IPV6_MTU_DISCOVER", IPV6_MTU_DISCOVER), ("IPV6_MTU", IPV6_MTU), ("IPV6_V6ONLY", IPV6_V6ONLY),
        ("IPV6_TCLASS", IPV6_TCLASS), ("IPV6_CHECKSUM", IPV6_CHECKSUM),
      ].map { ($0.0, Int32(IPPROTO_IPV6), $0.1) }
      // linux/icmpv6.h, linux/icmp.h and linux/if_packet.h are no part of the C library's module.
      + [
        ("ICMPV6_FILTER", Int32(IPPROTO_ICMPV6), 1), ("ICMP_FILTER", SOL_RAW, 1),
        ("PACKET_ADD_MEMBERSHIP", SOL_PACKET, 1), ("PACKET_DROP_MEMBERSHIP", SOL_PACKET, 2),
        ("PACKET_STATISTICS", SOL_PACKET, 6),
      ]
    #expect(
      Set(SocketOption.passedOn)
        == Set(expected.map { SocketOption(name: $0.0, level: UInt16($0.1), option: UInt16($0.2)) }))
    #expect(SocketOption.passedOn.count == expected.count)
  }

  @Test func `an option that a policy can name can be set`() throws {
    for name in SocketOption.settableNames {
      let option = try #require(SocketOption(settable: name))
      #expect(SocketOption.isPassedOn(level: option.level, option: option.option), "\(name)")
    }
    #expect(SocketOption(settable: "SO_ERROR") == nil)
  }

  /// EFAULT from a system call ends the broker (`Linux.retrying`), so no application may be able to cause one.
  @Test func `no option with any length of value brings the broker down`() throws {
    var objects = [try openSocket(.tcp(ipv6(port: 0))), try openSocket(.udp(ipv4(port: 0)))]
    if Tier.root {
      objects.append(try openSocket(.raw(.ipv6, ipProtocol: 58)))
      objects.append(try openSocket(.packet(interface: "lo")))
    }
    var answered = 0
    for object in objects {
      for level in [Int32(0), 1, 6, 17, 41, 58, 255, 263] {
        for name in Int32(0)...80 {
          let operands = Operands(request: option(level, name))
          for length in [0, 1, 2, 4, 8, 12, 16, 20, 64, 256] {
            let value = [UInt8](repeating: 0, count: length)
            if perform(object, .setoption, operands, payload: value, room: 0).outcome == .done(0) { answered += 1 }
            if case .done(let count) = perform(object, .getoption, operands, room: length).outcome {
              #expect(count <= UInt64(length))
              answered += 1
            }
          }
        }
      }
    }
    #expect(answered > 100)
  }
}

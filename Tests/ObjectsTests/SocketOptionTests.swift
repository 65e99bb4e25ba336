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

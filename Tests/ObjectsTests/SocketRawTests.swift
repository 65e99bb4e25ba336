import Authority
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite(.enabled(if: Tier.root, "needs root"))
struct SocketRawTests {
  /// An echo request (type 8 or 128) with an identifier of its own and this data; RFC 792, RFC 4443.
  func echoRequest(type: UInt8, identifier: UInt16, data: [UInt8]) -> [UInt8] {
    var packet: [UInt8] = [type, 0, 0, 0, UInt8(identifier >> 8), UInt8(identifier & 0xff), 0, 1] + data
    if packet.count % 2 == 1 { packet.append(0) }
    // The kernel fills in ICMPv6's checksum (raw(7)), ICMP's is the sender's.
    var sum: UInt32 = 0
    for index in stride(from: 0, to: packet.count, by: 2) {
      sum += UInt32(packet[index]) << 8 | UInt32(packet[index + 1])
    }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    let checksum = ~UInt16(sum)
    packet[2] = UInt8(checksum >> 8)
    packet[3] = UInt8(checksum & 0xff)
    return packet
  }

  /// Receives until a packet satisfies the condition: on loopback a raw socket also sees the requests.
  func receive(_ object: SocketObject, where matches: ([UInt8]) -> Bool) -> Performed? {
    for _ in 0..<50 {
      let received = performSoon(object, .receive, Operands(length: 4096))
      guard case .received = received.outcome else { return nil }
      if matches(received.bytes) { return received }
    }
    return nil
  }

  @Test func `an ICMP echo on loopback is answered, IP header included`() throws {
    let object = try openSocket(.raw(.ipv4, ipProtocol: 1))
    let identifier = UInt16.random(in: 0 ... .max)
    let request = echoRequest(type: 8, identifier: identifier, data: [1, 2, 3, 4])
    #expect(send(object, request, to: ipv4(port: 0)) == .done(12))
    let reply = try #require(
      receive(object) { $0.count == 32 && $0[20] == 0 && $0[24...25].elementsEqual(request[4...5]) })
    #expect(reply.outcome == .received(32, from: ipv4(port: 0)))
    #expect(reply.bytes[0] == 0x45)
    #expect(Array(reply.bytes[28...]) == [1, 2, 3, 4])
  }

  @Test func `an ICMPv6 echo on loopback is answered, without a header`() throws {
    let object = try openSocket(.raw(.ipv6, ipProtocol: 58))
    let identifier = UInt16.random(in: 0 ... .max)
    let request = echoRequest(type: 128, identifier: identifier, data: [1, 2, 3, 4])
    // A port would be taken for the protocol number.
    #expect(send(object, request, to: ipv6(port: 17)) == .done(12))
    let reply = try #require(
      receive(object) { $0.count == 12 && $0[0] == 129 && $0[4...5].elementsEqual(request[4...5]) })
    #expect(reply.bytes[8...].elementsEqual([1, 2, 3, 4]))
    #expect(reply.outcome == .received(12, from: ipv6(port: 0)))
  }

  @Test func `a connected raw socket sends to its peer`() throws {
    let object = try openSocket(.raw(.ipv4, ipProtocol: 253))
    #expect(perform(object, .connect, Operands(address: ipv4(port: 9))).outcome == .done(0))
    #expect(send(object, [1, 2, 3]) == .done(3))
    let received = try #require(receive(object) { $0.count == 23 })
    #expect(received.bytes[20...].elementsEqual([1, 2, 3]))
  }

  /// 20 bytes of an IPv4 header to 127.0.0.9 of protocol 253, and 4 of data.
  static let forged: [UInt8] =
    [0x45, 0, 0, 24, 0, 0, 0, 0, 64, 253, 0, 0, 127, 0, 0, 1, 127, 0, 0, 9] + [0xde, 0xad, 0xbe, 0xef]

  func arrivesElsewhere(_ object: SocketObject) -> Bool {
    for _ in 0..<20 {
      let received = perform(object, .receive, Operands(length: 4096))
      if received.bytes.count == 24, received.bytes[16...19].elementsEqual([127, 0, 0, 9]),
        received.bytes[20...].elementsEqual([0xde, 0xad, 0xbe, 0xef])
      {
        return true
      }
      if case .wouldBlock = received.outcome { usleep(1000) }
    }
    return false
  }

  @Test func `a header of the application's own does not choose another destination`() throws {
    let witness = try openSocket(.raw(.ipv4, ipProtocol: 253))
    let object = try openSocket(.raw(.ipv4, ipProtocol: 255))
    #expect(send(object, Self.forged, to: ipv4(port: 0)) == .done(24))
    #expect(!arrivesElsewhere(witness))
    // The guard off: protocol 255 as the kernel gives it lets the header through.
    let plain = try Descriptor.socket(.raw(.ipv4, ipProtocol: 255))
    let bytes = carrying(Self.forged)
    let sent = try bytes.withBytes { span throws(SystemError) in try plain.send(span, to: ipv4(port: 0)) }
    #expect(sent == 24)
    #expect(arrivesElsewhere(witness))
  }
}

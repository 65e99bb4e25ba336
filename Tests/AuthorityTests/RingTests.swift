import Instructions
import Testing

@testable import Authority

/// Which grants a ring can keep an application to.
@Suite struct RingTests {
  private static let everything = AddressPattern(
    address: NetworkAddress(family: .ipv4, bytes: .init(repeating: 0), port: 0), prefixLength: 0)

  private func obstacle(
    _ specification: ObjectSpecification, _ operations: [Opcode], range: ByteRange? = nil,
    sendTo: [AddressPattern]? = nil
  ) -> String? {
    let object = ObjectDefinition(name: "object", specification: specification)
    var rule = GrantRule(application: "app", object: "object", operations: OperationSet(operations))
    rule.range = range
    return object.ringObstacle(rule, operations: OperationSet(operations), sendTo: sendTo)
  }

  private var udp: ObjectSpecification {
    .socket(SocketSpecification(endpoint: .udp(NetworkAddress(family: .ipv4, bytes: .init(repeating: 0), port: 53))))
  }

  @Test func `a range of whole sectors can be kept to, another one not`() {
    let disk = ObjectSpecification.disk(DiskSpecification(path: "/dev/loop0"))
    #expect(obstacle(disk, [.read, .write, .flush, .discard, .info]) == nil)
    #expect(obstacle(disk, [.read], range: ByteRange(offset: 512, length: 1024)) == nil)
    #expect(obstacle(disk, [.read], range: ByteRange(offset: 100, length: 1024)) != nil)
    #expect(obstacle(disk, [.read], range: ByteRange(offset: 512, length: 1000)) != nil)
  }

  @Test func `sending needs every address and port of the family, or exactly one`() {
    #expect(obstacle(udp, [.receive]) == nil)
    #expect(obstacle(udp, [.send], sendTo: [Self.everything]) == nil)
    #expect(obstacle(udp, [.send], sendTo: nil) != nil)
    var some = Self.everything
    some.prefixLength = 8
    #expect(obstacle(udp, [.send], sendTo: [some]) != nil)
    some = Self.everything
    some.ports = 1...65535
    #expect(obstacle(udp, [.send], sendTo: [some]) != nil)
    // One place, which the socket in the slot is connected to.
    some.prefixLength = 32
    some.ports = 53...53
    #expect(obstacle(udp, [.send], sendTo: [some]) == nil)
    #expect(obstacle(udp, [.send], sendTo: [some, some]) != nil)
    some.ports = 53...54
    #expect(obstacle(udp, [.send], sendTo: [some]) != nil)
    some.ports = 0...0
    #expect(obstacle(udp, [.send], sendTo: [some]) != nil)
    let raw = ObjectSpecification.socket(SocketSpecification(endpoint: .raw(.ipv4, ipProtocol: 1)))
    #expect(obstacle(raw, [.receive]) == nil)
    #expect(obstacle(raw, [.send], sendTo: [Self.everything]) != nil)
  }

  @Test func `a connected socket takes no request that can name an address`() {
    let taken = RingOpcodes(for: OperationSet([.send, .receive]), isConnected: true)
    let naming: [RingOpcode] = [.send, .sendMessage, .sendZeroCopy, .sendMessageZeroCopy]
    for opcode in naming { #expect(!taken.contains(opcode)) }
    #expect(taken.contains(.write) && taken.contains(.receive))
  }

  @Test func `options, connecting and buses are not for a ring`() {
    for opcode in [Opcode.connect, .getoption, .setoption] { #expect(obstacle(udp, [opcode]) != nil, "\(opcode)") }
    #expect(obstacle(.bus(BusSpecification(device: .simulated(.registerFile))), [.transfer]) != nil)
  }

  @Test(arguments: Opcode.allCases) func `no operation brings a request that could give the object away`(
    _ opcode: Opcode
  ) {
    // SPLICE, TEE, OPENAT, OPENAT2, CLOSE, FILES_UPDATE, EPOLL_CTL, MSG_RING, SOCKET, URING_CMD, CONNECT, FIXED_FD_INSTALL,
    // BIND, LISTEN by the kernel's numbers.
    let forbidden: [UInt64] = [30, 33, 18, 28, 19, 20, 29, 40, 45, 46, 16, 54, 56, 57]
    let mask = forbidden.reduce(UInt64(0)) { $0 | 1 << $1 }
    #expect(RingOpcodes(for: OperationSet(opcode)).rawValue & mask == 0)
  }
}

import Authority
import Instructions
import Testing

/// A limit key left out meant "allow any" elsewhere (FreeBSD-SA-26:24, libcasper); here limits only shrink.
@Suite struct LimitsTests {
  private func pattern(_ a: UInt8, _ b: UInt8, prefix: UInt8, ports: ClosedRange<UInt16> = 0...65535) -> AddressPattern
  {
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    bytes[0] = a
    bytes[1] = b
    return AddressPattern(
      address: NetworkAddress(family: .ipv4, bytes: bytes, port: 0), prefixLength: prefix, ports: ports)
  }

  private func socket(
    connect: [AddressPattern] = [], sendTo: [AddressPattern] = [], options: [SocketOption] = []
  ) -> ObjectDefinition {
    let address = NetworkAddress(family: .ipv4, bytes: InlineArray(repeating: 0), port: 53)
    return ObjectDefinition(
      name: "disk",
      specification: .socket(
        SocketSpecification(endpoint: .udp(address), connect: connect, sendTo: sendTo, options: options)))
  }

  private func rule() -> GrantRule {
    GrantRule(application: "shop", object: "disk", operations: OperationSet(Opcode.allCases))
  }

  @Test func `connect, send, setoption and control without a limit key grant nothing`() {
    let all = OperationSet([.connect, .send, .setoption, .receive])
    let scene = Scene(object: socket(), operations: all)
    #expect(scene.open().authorization?.operations == OperationSet(.receive))
    for opcode in [Opcode.connect, .send, .setoption] {
      #expect(scene.open(OperationSet(opcode)).told == ["operation", "none"])
    }
    let bus = ObjectDefinition(name: "disk", specification: .bus(BusSpecification(device: .hid(path: "/dev/hidraw0"))))
    let control = Scene(object: bus, operations: OperationSet([.control, .read]))
    #expect(control.open(OperationSet(.control)).told == ["operation", "none"])
    #expect(control.open().authorization?.operations == OperationSet(.read))
  }

  @Test func `an empty list in the grant takes everything away`() {
    var scene = Scene(object: socket(sendTo: [pattern(10, 0, prefix: 8)]), operations: OperationSet(.send))
    #expect(scene.open().authorization?.limits.sendTo?.count == 1)
    scene.policy.grants[0].sendTo = []
    #expect(scene.open().told == ["operation", "none"])
  }

  @Test func `what the grant names beyond the object's limits is not allowed`() throws {
    let ttl = SocketOption(name: "IP_TTL", level: 0, option: 2)
    let mark = SocketOption(name: "SO_MARK", level: 1, option: 36)
    var rule = rule()
    rule.connect = [pattern(10, 1, prefix: 16), pattern(11, 0, prefix: 8), pattern(0, 0, prefix: 0)]
    rule.options = [ttl, mark]
    let limits = try LimitSet(socket(connect: [pattern(10, 0, prefix: 8)], options: [ttl]), narrowedBy: rule)
    #expect(limits.connect == [pattern(10, 1, prefix: 16), pattern(10, 0, prefix: 8)])
    #expect(limits.options == [ttl])
    #expect(limits.sendTo == nil)
  }

  @Test func `a request number beyond the object's is not allowed`() throws {
    let one = ControlRequest(name: "1", request: 1)
    let object = ObjectDefinition(
      name: "disk", specification: .bus(BusSpecification(device: .hid(path: "/dev/hidraw0"), ioctls: [one])))
    var rule = rule()
    rule.ioctls = [one, ControlRequest(name: "2", request: 2)]
    #expect(try LimitSet(object, narrowedBy: rule).controls == [one])
  }

  @Test func `a pattern covers what has a longer prefix and fewer ports`() {
    let ten = pattern(10, 0, prefix: 8, ports: 100...200)
    #expect(ten.covers(ten))
    #expect(ten.covers(pattern(10, 3, prefix: 16, ports: 150...150)))
    #expect(!ten.covers(pattern(10, 3, prefix: 16)))
    #expect(!ten.covers(pattern(10, 3, prefix: 16, ports: 99...150)))
    #expect(!ten.covers(pattern(10, 0, prefix: 7, ports: 150...150)))
    #expect(!ten.covers(pattern(11, 0, prefix: 8, ports: 150...150)))
    var six = ten
    six.address.family = .ipv6
    #expect(!ten.covers(six))
  }

  private func disk(_ range: ByteRange?, _ access: Access = .readWrite) -> ObjectDefinition {
    ObjectDefinition(name: "disk", specification: .disk(DiskSpecification(path: "/a", range: range, access: access)))
  }

  @Test(
    arguments: [
      (nil, nil, nil), (ByteRange(offset: 10, length: 20), nil, ByteRange(offset: 10, length: 20)),
      (nil, ByteRange(offset: 10, length: 20), ByteRange(offset: 10, length: 20)),
      (ByteRange(offset: 10, length: 20), ByteRange(offset: 15, length: 5), ByteRange(offset: 15, length: 5)),
    ] as [(ByteRange?, ByteRange?, ByteRange?)])
  func `a range is the narrower of both`(_ object: ByteRange?, _ grant: ByteRange?, _ expected: ByteRange?) throws {
    var rule = rule()
    rule.range = grant
    #expect(try LimitSet(disk(object), narrowedBy: rule).range == expected)
  }

  @Test func `a range that is not inside the object's, is empty or wraps around grants nothing`() {
    var scene = Scene(object: disk(ByteRange(offset: 10, length: 20)))
    for range in [
      ByteRange(offset: 30, length: 5), ByteRange(offset: 0, length: 10), ByteRange(offset: 12, length: 0),
      ByteRange(offset: .max, length: 2), ByteRange(offset: 0, length: 100), ByteRange(offset: 25, length: 50),
    ] {
      scene.policy.grants[0].range = range
      #expect(scene.open().told == ["operation", "none"])
    }
  }

  @Test func `access is the smaller of both`() throws {
    var rule = rule()
    for (object, grant, expected) in [
      (Access.readWrite, nil, Access.readWrite), (.readWrite, .readOnly, .readOnly), (.readOnly, .readWrite, .readOnly),
      (.readOnly, nil, .readOnly),
    ] as [(Access, Access?, Access)] {
      rule.access = grant
      #expect(try LimitSet(disk(nil, object), narrowedBy: rule).access == expected)
    }
  }

  @Test func `read-only takes write and discard away, and leaves the rest`() {
    let all = OperationSet([.read, .write, .flush, .discard, .info])
    let scene = Scene(object: disk(nil, .readOnly), operations: all)
    #expect(scene.open().authorization?.operations == OperationSet([.read, .flush, .info]))
    #expect(scene.open(OperationSet(.discard)).told == ["operation", "none"])
  }

  @Test func `operations that the kind does not know are never granted`() {
    let scene = Scene(operations: OperationSet([.read, .accept, .transfer]))
    #expect(scene.open().authorization?.operations == OperationSet(.read))
  }
}

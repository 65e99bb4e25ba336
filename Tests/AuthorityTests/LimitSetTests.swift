import Authority
import Instructions
import Testing

@Suite struct LimitSetTests {
  private static func ipv4(_ a: UInt8, _ b: UInt8, _ prefix: UInt8, ports: ClosedRange<UInt16> = 0...65535)
    -> AddressPattern
  {
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    bytes[0] = a
    bytes[1] = b
    return AddressPattern(
      address: NetworkAddress(family: .ipv4, bytes: bytes, port: 0), prefixLength: prefix, ports: ports)
  }

  private static func disk(_ range: ByteRange?) -> ObjectDefinition {
    ObjectDefinition(name: "d", specification: .disk(DiskSpecification(path: "/dev/loop0", range: range)))
  }

  private static func socket(sendTo: [AddressPattern]) -> ObjectDefinition {
    ObjectDefinition(
      name: "s", specification: .socket(SocketSpecification(endpoint: .raw(.ipv4, ipProtocol: 1), sendTo: sendTo)))
  }

  private static func grant(range: ByteRange? = nil, sendTo: [AddressPattern]? = nil) -> GrantRule {
    GrantRule(application: "a", object: "o", operations: .all, range: range, sendTo: sendTo)
  }

  private static let device = ByteRange(offset: 0, length: 4096)

  @Test func `a grant without a range has the object's`() throws {
    let object = ByteRange(offset: 512, length: 1024)
    #expect(try LimitSet(Self.disk(object), narrowedBy: Self.grant()).range == object)
  }

  @Test func `a disk without a range has the whole device`() throws {
    #expect(
      try LimitSet(Self.disk(nil), narrowedBy: Self.grant()).within(Self.device).range == Self.device)
  }

  @Test func `a range that the device has only in part is a mistake`() throws {
    let range = ByteRange(offset: 4095, length: 2)
    let limits = try LimitSet(Self.disk(nil), narrowedBy: Self.grant(range: range))
    #expect(throws: LimitSet.Failure.rangeOutside(grant: range, object: Self.device)) {
      try limits.within(Self.device)
    }
  }

  @Test func `a grant's range inside the object's is taken`() throws {
    let inner = ByteRange(offset: 1024, length: 512)
    let limits = try LimitSet(Self.disk(ByteRange(offset: 512, length: 1024)), narrowedBy: Self.grant(range: inner))
    #expect(limits.range == inner)
  }

  @Test(arguments: [
    ByteRange(offset: 511, length: 1), ByteRange(offset: 1024, length: 513), ByteRange(offset: 1537, length: 0),
    ByteRange(offset: 1024, length: 0),
  ])
  func `a grant's range outside the object's is a mistake`(range: ByteRange) {
    let object = ByteRange(offset: 512, length: 1024)
    #expect(throws: LimitSet.Failure.rangeOutside(grant: range, object: object)) {
      try LimitSet(Self.disk(object), narrowedBy: Self.grant(range: range))
    }
  }

  @Test func `a range whose end wraps around is a mistake`() {
    let range = ByteRange(offset: 1, length: .max)
    #expect(throws: LimitSet.Failure.rangeOverflows(range)) {
      try LimitSet(Self.disk(range), narrowedBy: Self.grant())
    }
  }

  @Test func `a grant that names wider addresses gets the object's`() throws {
    let limits = try LimitSet(
      Self.socket(sendTo: [Self.ipv4(10, 1, 16)]), narrowedBy: Self.grant(sendTo: [Self.ipv4(10, 0, 8)]))
    #expect(limits.sendTo == [Self.ipv4(10, 1, 16)])
  }

  @Test func `a grant that names narrower addresses and ports gets those`() throws {
    let limits = try LimitSet(
      Self.socket(sendTo: [Self.ipv4(10, 0, 8, ports: 50...100)]),
      narrowedBy: Self.grant(sendTo: [Self.ipv4(10, 1, 16, ports: 80...200)]))
    #expect(limits.sendTo == [Self.ipv4(10, 1, 16, ports: 80...100)])
  }

  @Test func `addresses that have nothing in common leave no limit, which grants nothing`() throws {
    let limits = try LimitSet(
      Self.socket(sendTo: [Self.ipv4(10, 1, 16)]), narrowedBy: Self.grant(sendTo: [Self.ipv4(10, 2, 16)]))
    #expect(limits.sendTo == nil)
  }

  @Test func `a key that neither gives stays away`() throws {
    #expect(try LimitSet(Self.socket(sendTo: []), narrowedBy: Self.grant()).sendTo == nil)
  }

  @Test func `a key that only the grant gives widens nothing`() throws {
    let limits = try LimitSet(Self.socket(sendTo: []), narrowedBy: Self.grant(sendTo: [Self.ipv4(0, 0, 0)]))
    #expect(limits.sendTo == nil)
  }

  @Test func `more addresses than a limit set holds is a mistake`() {
    let many = (0..<17 as Range<UInt8>).map { Self.ipv4(10, $0, 16) }
    #expect(throws: LimitSet.Failure.tooManyAddresses(17)) {
      try LimitSet(Self.socket(sendTo: many), narrowedBy: Self.grant())
    }
  }
}

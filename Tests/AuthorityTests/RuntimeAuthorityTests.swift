import Authority
import Instructions
import Testing

@Suite struct RuntimeAuthorityTests {
  static let key = GrantKey(application: "shop", object: "disk")

  private func grant(_ operations: OperationSet, expiry: UInt64? = nil, id: UInt64 = 1) -> RuntimeGrant {
    RuntimeGrant(id: id, key: Self.key, operations: operations, expiry: expiry)
  }

  @Test func `a runtime grant adds its operations to the policy's`() throws {
    var scene = Scene()
    scene.authority.add(grant(OperationSet(.write)))
    let found = try #require(scene.open().authorization)
    #expect(found.operations == OperationSet([.read, .info, .write]))
    #expect(found.runtimeGrants == [1])
  }

  @Test func `an association that needs no runtime grant does not rest on one`() throws {
    var scene = Scene()
    scene.authority.add(grant(OperationSet([.read, .write]), expiry: 2_000_000_000))
    let found = try #require(scene.open(OperationSet(.read)).authorization)
    #expect(found.runtimeGrants.isEmpty)
    #expect(found.endsAt == nil)
  }

  @Test func `an association rests on the runtime grant that lasts longest`() throws {
    var scene = Scene()
    scene.authority.add(grant(OperationSet(.write), expiry: 2_000_000_000, id: 1))
    scene.authority.add(grant(OperationSet(.write), expiry: 9_000_000_000, id: 2))
    scene.authority.add(grant(OperationSet(.flush), expiry: 5_000_000_000, id: 3))
    let found = try #require(scene.open(OperationSet([.write, .flush])).authorization)
    #expect(found.runtimeGrants.sorted() == [2, 3])
    #expect(found.endsAt == 5_000_000_000)
  }

  @Test func `a runtime grant ends at its expiry to the nanosecond`() {
    var scene = Scene()
    scene.authority.add(grant(OperationSet(.write), expiry: scene.now))
    #expect(scene.open(OperationSet(.write)).told == ["operation", "none"])
    scene.now -= 1
    #expect(scene.open(OperationSet(.write)).authorization != nil)
  }

  @Test func `expiring removes what has ended and returns it`() {
    var authority = RuntimeAuthority()
    authority.add(grant(OperationSet(.write), expiry: 10))
    authority.add(grant(OperationSet(.flush), expiry: 11, id: 2))
    #expect(authority.expire(at: 10).map(\.id) == [1])
    #expect(authority.grants.map(\.id) == [2])
  }

  @Test func `a runtime grant stands where the policy has no entry, with default rules`() throws {
    var scene = Scene()
    scene.policy.grants = []
    scene.authority.add(grant(OperationSet(.read)))
    let found = try #require(scene.open().authorization)
    #expect(found.operations == OperationSet(.read))
    #expect(found.onExec == .drop)
    #expect(scene.open(OperationSet(.write)).refusal?.nearest?.grant == nil)
  }

  /// A portal forwarded a write for a read-only device (LESSONS 15).
  @Test func `a runtime grant cannot go beyond the object's limits`() {
    var scene = Scene(
      object: ObjectDefinition(name: "disk", specification: .disk(DiskSpecification(path: "/a", access: .readOnly))))
    scene.authority.add(grant(OperationSet([.write, .discard, .accept])))
    #expect(scene.open(OperationSet(.write)).told == ["operation", "none"])
    #expect(scene.open().authorization?.operations == OperationSet([.read, .info]))
  }

  @Test func `a runtime grant is for its own application only`() {
    var scene = Scene()
    scene.policy.applications.append(ApplicationDefinition(name: "other", user: NamedID(name: "x", id: 77)))
    scene.authority.add(
      RuntimeGrant(id: 1, key: GrantKey(application: "other", object: "disk"), operations: OperationSet(.write)))
    #expect(scene.open(OperationSet(.write)).told == ["operation", "none"])
  }

  @Test(arguments: [
    (StandingRevoke(id: 1), true), (StandingRevoke(id: 1, object: "disk"), true),
    (StandingRevoke(id: 1, object: "other"), false), (StandingRevoke(id: 1, application: "shop"), true),
    (StandingRevoke(id: 1, application: "other"), false),
    (StandingRevoke(id: 1, object: "disk", application: "shop"), true),
    (StandingRevoke(id: 1, object: "disk", application: "other"), false),
    (StandingRevoke(id: 1, processes: [ProcessResource(tgid: 500, start: 1000)]), true),
    (StandingRevoke(id: 1, processes: [ProcessResource(tgid: 500, start: 1001)]), false),
    (StandingRevoke(id: 1, processes: [ProcessResource(tgid: 501, start: 1000)]), false),
    (StandingRevoke(id: 1, processes: []), false),
    (StandingRevoke(id: 1, object: "other", processes: [ProcessResource(tgid: 500, start: 1000)]), false),
  ])
  func `a standing revoke blocks what it names and nothing else`(_ revoke: StandingRevoke, _ blocks: Bool) {
    var scene = Scene()
    _ = scene.authority.add(revoke)
    #expect(scene.open().told == (blocks ? ["revoked", "none"] : nil))
  }

  @Test func `an exec does not free a process from a revoke`() {
    var scene = Scene()
    _ = scene.authority.add(StandingRevoke(id: 1, processes: [scene.subject.process]))
    scene.subject.process.execEpoch += 1
    #expect(scene.open().told == ["revoked", "none"])
  }

  @Test func `a revoke of a process reaches its descendants`() {
    var scene = Scene()
    let parent = ProcessResource(tgid: 400, start: 900)
    _ = scene.authority.add(StandingRevoke(id: 1, processes: [parent]))
    #expect(scene.open().authorization != nil)
    #expect(scene.open(ancestors: [parent]).told == ["revoked", "none"])
    scene.authority.forked(parent: parent, child: scene.subject.process)
    #expect(scene.open().told == ["revoked", "none"])
  }

  @Test func `a revoke whose processes have all ended goes away`() {
    var authority = RuntimeAuthority()
    let process = ProcessResource(tgid: 400, start: 900)
    _ = authority.add(StandingRevoke(id: 1, processes: [process]))
    _ = authority.add(StandingRevoke(id: 2, object: "disk"))
    authority.exited(process)
    #expect(authority.revokes.map(\.id) == [2])
  }

  @Test func `grant lifts a revoke for its application and object only`() {
    var scene = Scene()
    scene.policy.objects.append(ObjectDefinition(name: "two", specification: .disk(DiskSpecification(path: "/b"))))
    scene.policy.grants.append(GrantRule(application: "shop", object: "two", operations: OperationSet(.read)))
    _ = scene.authority.add(StandingRevoke(id: 1))
    scene.authority.add(grant(OperationSet(.read)))
    #expect(scene.open().authorization != nil)
    #expect(scene.open(object: "two").told == ["revoked", "none"])
  }

  @Test func `the same revoke again is one, with nothing lifted`() {
    var scene = Scene()
    _ = scene.authority.add(StandingRevoke(id: 1, object: "disk"))
    scene.authority.add(grant(OperationSet(.read)))
    _ = scene.authority.add(StandingRevoke(id: 2, object: "disk"))
    #expect(scene.authority.revokes.map(\.id) == [2])
    #expect(scene.open().told == ["revoked", "none"])
  }

  @Test func `a revoke that named exactly what is granted goes away`() {
    var authority = RuntimeAuthority()
    _ = authority.add(StandingRevoke(id: 1, object: "disk", application: "shop"))
    authority.add(grant(OperationSet(.read)))
    #expect(authority.revokes.isEmpty)
  }

  @Test func `a later revoke blocks again and ends the runtime grant`() {
    var scene = Scene()
    scene.policy.grants = []
    scene.authority.add(grant(OperationSet(.read)))
    #expect(scene.authority.add(StandingRevoke(id: 2, object: "other")).isEmpty)
    #expect(scene.authority.add(StandingRevoke(id: 2, object: "disk")).map(\.id) == [1])
    #expect(scene.authority.grants.isEmpty)
    #expect(scene.open().authorization == nil)
  }

  @Test func `a revoke of one process leaves the runtime grant to others`() {
    var authority = RuntimeAuthority()
    authority.add(grant(OperationSet(.read)))
    #expect(authority.add(StandingRevoke(id: 2, processes: [ProcessResource(tgid: 1, start: 1)])).isEmpty)
    #expect(authority.grants.count == 1)
  }

  @Test func `a reload ends runtime grants and standing revokes`() {
    var scene = Scene()
    scene.authority.add(grant(OperationSet(.write)))
    _ = scene.authority.add(StandingRevoke(id: 1, application: "other"))
    scene.authority.reload()
    #expect(scene.authority == RuntimeAuthority())
  }

  @Test func `a runtime grant names what exists and what the kind knows`() {
    let policy = Scene().policy
    #expect(policy.check(grant(OperationSet(.write))) == nil)
    #expect(policy.check(grant([])) == .noOperation)
    #expect(policy.check(grant(OperationSet([.read, .accept]))) == .operations(OperationSet(.accept)))
    let elsewhere = GrantKey(application: "shop", object: "x")
    let nobody = GrantKey(application: "x", object: "disk")
    #expect(policy.check(RuntimeGrant(id: 1, key: elsewhere, operations: OperationSet(.read))) == .unknownObject)
    #expect(policy.check(RuntimeGrant(id: 1, key: nobody, operations: OperationSet(.read))) == .unknownApplication)
  }
}

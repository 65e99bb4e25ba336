import Authority
import Instructions
import Testing

@Suite struct JudgeTests {
  // MARK: Who

  @Test func `a matching application is authorized with what is granted`() throws {
    let found = try #require(Scene().open().authorization)
    #expect(found.application == "shop")
    #expect(found.operations == OperationSet([.read, .info]))
    #expect(found.path == .mediated)
  }

  @Test func `an authorization covers the requested operations and no more`() throws {
    let found = try #require(Scene().open(OperationSet(.read)).authorization)
    #expect(found.operations == OperationSet(.read))
  }

  @Test func `an unknown object is no-such-object`() {
    let refusal = Scene().open(object: "other").refusal
    #expect(refusal?.told == Refusal(.noSuchObject))
    #expect(refusal?.cause == .unknownObject)
  }

  @Test func `an object without a grant is no-such-object, and administrators learn why`() {
    var scene = Scene()
    scene.policy.grants = []
    #expect(scene.open().refusal?.told == Refusal(.noSuchObject))
    #expect(scene.open().refusal?.cause == .noGrant)
  }

  @Test func `a stranger is told no-such-object without the message, administrators the nearest grant`() {
    var scene = Scene()
    scene.policy.objects[0].message = "secret"
    scene.policy.grants[0].message = "secret"
    scene.subject.effectiveUID = 34
    let refusal = scene.open().refusal
    #expect(refusal?.told == Refusal(.noSuchObject))
    #expect(refusal?.cause == .noMatchingApplication)
    #expect(refusal?.nearest == NearestGrant(application: "shop", grant: 0, mismatch: .user))
  }

  @Test func `the nearest application is the one of which most keys match`() {
    var scene = Scene()
    scene.policy.applications = [
      ApplicationDefinition(name: "far", user: NamedID(name: "x", id: 1), cgroup: "/other"),
      ApplicationDefinition(name: "near", user: NamedID(name: "www-data", id: 33), executable: "/usr/bin/python3"),
    ]
    scene.policy.grants = ["far", "near"].map {
      GrantRule(application: $0, object: "disk", operations: OperationSet(.read))
    }
    #expect(
      scene.open().refusal?.nearest == NearestGrant(application: "near", grant: 1, mismatch: .executable))
  }

  @Test func `every key that is given must match`() {
    var scene = Scene()
    scene.policy.applications[0].cgroup = "/system.slice/other.service"
    #expect(scene.open().refusal?.nearest?.mismatch == .cgroup)
    scene.policy.applications[0].cgroup = "/system.slice"
    #expect(scene.open().authorization != nil)
  }

  @Test func `a selector without a key matches nobody`() {
    var scene = Scene()
    scene.policy.applications[0].user = nil
    #expect(scene.open().told == ["no-such-object", "none"])
  }

  @Test func `a group matches as effective or supplementary`() {
    var scene = Scene()
    scene.policy.applications[0].user = nil
    scene.policy.applications[0].group = NamedID(name: "g", id: 44)
    #expect(scene.open().authorization != nil)
    scene.policy.applications[0].group = NamedID(name: "g", id: 33)
    #expect(scene.open().authorization != nil)
    scene.policy.applications[0].group = NamedID(name: "g", id: 45)
    #expect(scene.open().authorization == nil)
  }

  @Test func `an executable is compared by device and inode, never by name`() {
    var scene = Scene()
    scene.policy.applications[0].executable = "/usr/sbin/nginx"
    #expect(scene.open().authorization != nil)
    // The file was replaced (an upgrade, or an attacker's copy at the same path).
    scene.identities["/usr/sbin/nginx"] = FileIdentity(device: 8, inode: 101)
    #expect(scene.open().told == ["no-such-object", "none"])
    scene.identities["/usr/sbin/nginx"] = FileIdentity(device: 9, inode: 100)
    #expect(scene.open().authorization == nil)
  }

  @Test func `an executable that does not exist matches nobody, not even a subject without one`() {
    var scene = Scene()
    scene.policy.applications[0].executable = "/nonexistent"
    #expect(scene.open().authorization == nil)
    scene.subject.executable = nil
    #expect(scene.open().authorization == nil)
  }

  @Test(arguments: [
    ("/a/b", true), ("/a/b/c", true), ("/a/b/c/d", true), ("/a/bc", false), ("/a", false), ("/", false),
    ("/x/a/b", false), ("/a/b/../../x", false), ("a/b", false), ("", false),
  ])
  func `a cgroup is this one or below, component by component`(_ path: String, _ matches: Bool) {
    var scene = Scene()
    scene.policy.applications[0].cgroup = "/a/b"
    scene.subject.cgroup = path
    #expect((scene.open().authorization != nil) == matches)
  }

  @Test func `cgroups are compared by bytes, not by Unicode equivalence`() {
    var scene = Scene()
    scene.policy.applications[0].cgroup = "/\u{E9}"
    scene.subject.cgroup = "/e\u{301}"
    #expect(scene.open().authorization == nil)
  }

  /// polkit's CVE-2021-3560: an error while asking for the peer's credentials was taken for root.
  @Test func `a fact that could not be found out matches nothing`() {
    for forget in [
      { $0.effectiveUID = nil }, { $0.executable = nil }, { $0.cgroup = nil },
    ] as [(inout Subject) -> Void] {
      var scene = Scene()
      scene.policy.applications[0].user = NamedID(name: "root", id: 0)
      scene.subject.effectiveUID = 0
      scene.policy.applications[0].executable = "/usr/sbin/nginx"
      scene.policy.applications[0].cgroup = "/system.slice"
      #expect(scene.open().authorization != nil)
      forget(&scene.subject)
      #expect(scene.open().told == ["no-such-object", "none"])
    }
  }

  // MARK: Which grant

  @Test func `a grant without the operation is operation, and names what is missing`() {
    let refusal = Scene().open(OperationSet([.read, .write])).refusal
    #expect(refusal?.told.reason == .operation)
    #expect(refusal?.cause == .operationsMissing(OperationSet(.write)))
    #expect(refusal?.nearest == NearestGrant(application: "shop", grant: 0, mismatch: nil))
  }

  @Test func `the first application whose grant covers the request decides`() {
    var scene = Scene()
    scene.policy.applications.append(ApplicationDefinition(name: "all", user: NamedID(name: "www-data", id: 33)))
    scene.policy.grants.append(
      GrantRule(application: "all", object: "disk", operations: OperationSet([.read, .write])))
    #expect(scene.open(OperationSet(.read)).authorization?.application == "shop")
    #expect(scene.open(OperationSet(.write)).authorization?.application == "all")
    #expect(scene.open().authorization?.application == "shop")
  }

  @Test func `the applications' order decides, not the grants'`() {
    var scene = Scene()
    scene.policy.applications.insert(
      ApplicationDefinition(name: "first", user: NamedID(name: "www-data", id: 33)), at: 0)
    scene.policy.grants.append(GrantRule(application: "first", object: "disk", operations: OperationSet(.read)))
    #expect(scene.open().authorization?.application == "first")
  }

  @Test func `two grants are never united`() {
    var scene = Scene()
    scene.policy.applications.append(ApplicationDefinition(name: "writer", user: NamedID(name: "www-data", id: 33)))
    scene.policy.grants.append(GrantRule(application: "writer", object: "disk", operations: OperationSet(.write)))
    #expect(scene.open(OperationSet([.read, .write])).told == ["operation", "none"])
  }

  @Test func `a grant that comes to nothing is operation`() {
    var scene = Scene()
    scene.policy.grants[0].operations = []
    #expect(scene.open().refusal?.cause == .operationsMissing([]))
  }

  // MARK: Rules

  @Test func `another pid namespace is refused unless the policy names it`() {
    var scene = Scene()
    scene.subject.pidNamespace = Scene.container
    #expect(scene.open().told == ["refused", "namespace"])
    scene.policy.applications[0].pidNamespace = "/run/ns/c"
    #expect(scene.open().authorization != nil)
    scene.subject.pidNamespace = Scene.host
    #expect(scene.open().told == ["refused", "namespace"])
  }

  @Test func `a network namespace counts only where the policy names one`() {
    var scene = Scene()
    scene.subject.networkNamespace = Scene.container
    #expect(scene.open().authorization != nil)
    scene.policy.applications[0].networkNamespace = .host
    #expect(scene.open().told == ["refused", "namespace"])
    scene.policy.applications[0].networkNamespace = .path("/run/ns/c")
    #expect(scene.open().authorization != nil)
  }

  @Test func `a tracer is refused unless the application is traceable`() {
    var scene = Scene()
    scene.subject.traced = true
    #expect(scene.open().told == ["refused", "tracer"])
    scene.policy.applications[0].traceable = true
    #expect(scene.open().authorization != nil)
  }

  @Test func `what could not be found out about a matching asker is undecidable`() {
    var scene = Scene()
    scene.subject.traced = nil
    #expect(scene.open().told == ["undecidable", "none"])
    scene = Scene()
    scene.subject.pidNamespace = nil
    #expect(scene.open().told == ["undecidable", "none"])
    scene = Scene()
    scene.policy.applications[0].pidNamespace = "/run/ns/gone"
    #expect(scene.open().told == ["undecidable", "none"])
    scene = Scene()
    scene.policy.applications[0].networkNamespace = .host
    scene.subject.networkNamespace = nil
    #expect(scene.open().refusal?.cause == .unknownFact("network namespace"))
  }

  @Test func `a fork of a holder may not open where on-fork denies`() {
    var scene = Scene()
    scene.policy.grants[0].onFork = .deny
    #expect(scene.open(descends: true).told == ["refused", "fork-denied"])
    #expect(scene.open(descends: false).authorization?.onFork == .deny)
  }

  @Test func `the fork rule's default depends on the door`() {
    var scene = Scene()
    scene.paths = [.mediated, .direct]
    #expect(scene.open().authorization?.onFork == .revalidate)
    #expect(scene.open(door: .run).authorization?.onFork == .inherit)
    scene.policy.grants[0].onFork = .revalidate
    #expect(scene.open(door: .run).authorization?.onFork == .revalidate)
  }

  @Test(arguments: [
    (PathChoice.any, false, false, "mediated", "-"), (.any, true, false, "direct", "direct"),
    (.any, false, true, "mediated", "handover"), (.any, true, true, "direct", "direct"),
    (.only(.mediated), true, true, "mediated", "-"), (.only(.direct), true, false, "direct", "direct"),
    (.only(.direct), false, true, "-", "-"), (.only(.ring), true, true, "-", "-"),
  ])
  func `a demanded path is that path or refused`(
    _ choice: PathChoice, _ direct: Bool, _ handover: Bool, _ library: String, _ run: String
  ) {
    var scene = Scene()
    scene.policy.grants[0].path = choice
    scene.policy.grants[0].handover = handover
    scene.paths = direct ? [.mediated, .direct, .handover] : [.mediated, .handover]
    for (door, expected) in [(OpenDoor.library, library), (.run, run)] {
      let judgement = scene.open(door: door)
      #expect(judgement.authorization?.path.name ?? "-" == expected)
      if expected == "-" { #expect(judgement.told == ["refused", "path-unavailable"]) }
    }
  }

  @Test func `accepted: recall is authorized on the path direct`() {
    var scene = Scene()
    scene.paths.insert(.direct)
    scene.policy.grants[0].recallAccepted = true
    #expect(scene.open().authorization?.path == .direct)
  }

  @Test(arguments: [
    (Bool?.some(true), OperationSet([.read, .write]), OperationPath.direct),
    (Bool?.some(false), OperationSet(.read), .direct), (Bool?.some(false), OperationSet([.read, .write]), .mediated),
    (Bool?.none, OperationSet(.read), .mediated),
  ])
  func `an image file is written by the broker only, and what cannot be looked at too`(
    _ isBlockDevice: Bool?, _ operations: OperationSet, _ expected: OperationPath
  ) {
    var scene = Scene(operations: OperationSet([.read, .write]))
    scene.paths.insert(.direct)
    scene.isBlockDevice = isBlockDevice
    #expect(scene.open(operations).authorization?.path == expected)
  }

  @Test(arguments: [
    (BusSpecification.PCIRegion.config, false, OperationPath.direct), (.bar(0), false, .mediated),
    (.bar(0), true, .direct),
  ])
  func `a card's memory is its holder's own only where it may be mapped`(
    _ region: BusSpecification.PCIRegion, _ mmap: Bool, _ expected: OperationPath
  ) {
    let card = BusSpecification(device: .pci(address: "0000:00:04.0", region: region))
    var scene = Scene(
      object: ObjectDefinition(name: "card", specification: .bus(card)), operations: OperationSet(.read))
    scene.paths.insert(.direct)
    scene.policy.grants[0].mmap = mmap
    #expect(scene.open(OperationSet(.read), object: "card").authorization?.path == expected)
  }

  @Test func `a range, and a rate of requests, are held by the broker only`() {
    var ranged = Scene()
    ranged.paths.insert(.direct)
    ranged.policy.grants[0].range = ByteRange(offset: 0, length: 4096)
    #expect(ranged.open().authorization?.path == .mediated)
    var counted = Scene()
    counted.paths.insert(.direct)
    counted.policy.applications[0].requestsPerSecond = 5
    #expect(counted.open().authorization?.path == .mediated)
    counted.policy.grants[0].path = .only(.direct)
    #expect(counted.open().told == ["refused", "path-unavailable"])
  }

  @Test(arguments: [PathChoice.any, .only(.mediated)])
  func `accepted: recall is refused while nothing can take a connection back`(_ choice: PathChoice) {
    var scene = Scene()
    scene.policy.grants[0].path = choice
    #expect(scene.open().told == nil)
    scene.policy.grants[0].recallAccepted = true
    #expect(scene.open().told == ["refused", "path-unavailable"])
    guard case .recallRule? = scene.open().refusal?.cause else {
      Issue.record("\(String(describing: scene.open().refusal))")
      return
    }
    #expect(scene.revalidate(OperationSet(.read), application: "shop").told == ["refused", "path-unavailable"])
  }

  @Test func `a handover that this machine does not have is refused, not mediated`() {
    var scene = Scene()
    scene.policy.grants[0].handover = true
    scene.paths = [.mediated]
    #expect(scene.open(door: .run).told == ["refused", "path-unavailable"])
  }

  @Test func `the grant's message goes before the object's`() {
    var scene = Scene()
    scene.policy.objects[0].message = "object"
    #expect(scene.open(OperationSet(.write)).refusal?.told.message == "object")
    scene.policy.grants[0].message = "grant"
    #expect(scene.open(OperationSet(.write)).refusal?.told.message == "grant")
    #expect(scene.open().authorization?.message == "grant")
  }

  @Test func `reasons that apply together come in the order of precedence`() {
    var scene = Scene()
    _ = scene.authority.add(StandingRevoke(id: 1))
    scene.subject.traced = nil
    scene.subject.pidNamespace = Scene.container
    let write = OperationSet(.write)
    #expect(scene.open(write).told == ["undecidable", "none"])
    scene.subject.traced = true
    #expect(scene.open(write).told == ["revoked", "none"])
    scene.authority.reload()
    #expect(scene.open(write).told == ["operation", "none"])
    #expect(scene.open(OperationSet(.read)).told == ["refused", "namespace"])
  }

  @Test func `can-i judges a user who does not run by the same rules as an open`() {
    var scene = Scene()
    func ask(_ uid: UInt32) -> Judgement {
      var asking = scene
      asking.subject = .hypothetical(
        uid: uid, gid: 33, supplementaryGIDs: [], executable: Scene.nginx, facts: scene.facts())
      return asking.open(OperationSet(.read))
    }
    #expect(ask(33).authorization?.application == "shop")
    #expect(ask(34).told == ["no-such-object", "none"])
    _ = scene.authority.add(StandingRevoke(id: 1, processes: [scene.subject.process]))
    #expect(ask(33).authorization != nil)
    _ = scene.authority.add(StandingRevoke(id: 2, application: "shop"))
    #expect(ask(33).told == ["revoked", "none"])
  }

  // MARK: Expiry

  @Test func `a deadline is the earlier of the rule's and the runtime grant's`() throws {
    var scene = Scene()
    #expect(try #require(scene.open().authorization).deadline(madeAt: 5) == nil)
    scene.policy.grants[0].expires = 2
    #expect(try #require(scene.open().authorization).deadline(madeAt: 5) == 2_000_000_005)
    let key = GrantKey(application: "shop", object: "disk")
    scene.authority.add(RuntimeGrant(id: 1, key: key, operations: OperationSet(.write), expiry: 1_500_000_000))
    #expect(try #require(scene.open().authorization).deadline(madeAt: 5) == 1_500_000_000)
    #expect(try #require(scene.open(OperationSet(.read)).authorization).deadline(madeAt: 5) == 2_000_000_005)
  }

  @Test func `an expiry beyond 64 bits of nanoseconds never comes, and does not wrap`() throws {
    var scene = Scene()
    scene.policy.grants[0].expires = UInt64.max / 2
    #expect(try #require(scene.open().authorization).deadline(madeAt: 5) == nil)
  }
}

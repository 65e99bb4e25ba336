import Authority
import Instructions

/// A small world to judge in; tests change what they are about.
struct Scene {
  static let host = FileIdentity(device: 4, inode: 1)
  static let container = FileIdentity(device: 4, inode: 2)
  static let nginx = FileIdentity(device: 8, inode: 100)
  static let python = FileIdentity(device: 8, inode: 200)

  var policy: PolicyModel
  var authority = RuntimeAuthority()
  var subject = Subject(
    process: ProcessResource(tgid: 500, start: 1000), effectiveUID: 33, effectiveGID: 33, supplementaryGIDs: [44],
    executable: nginx, cgroup: "/system.slice/nginx.service", pidNamespace: host, networkNamespace: host, traced: false)
  var identities = ["/usr/sbin/nginx": nginx, "/usr/bin/python3": python, "/run/ns/c": container]
  var paths: Set<OperationPath> = [.mediated]
  /// Whether the disk's path names a block device; nil: it cannot be found out.
  var isBlockDevice: Bool? = true
  var now: UInt64 = 1_000_000_000

  /// One application `shop` (user 33) with one grant.
  init(
    object: ObjectDefinition = ObjectDefinition(
      name: "disk", specification: .disk(DiskSpecification(path: "/dev/loop0", access: .readWrite))),
    operations: OperationSet = OperationSet([.read, .info])
  ) {
    policy = PolicyModel(
      objects: [object],
      applications: [ApplicationDefinition(name: "shop", user: NamedID(name: "www-data", id: 33))],
      grants: [GrantRule(application: "shop", object: object.name, operations: operations)])
  }

  func facts() -> MachineFacts {
    let (identities, isBlockDevice) = (identities, isBlockDevice)
    return MachineFacts(
      pidNamespace: Scene.host, networkNamespace: Scene.host, availablePaths: paths, now: now,
      isBlockDevice: { _ in isBlockDevice }, identity: { identities[$0] })
  }

  func open(
    _ operations: OperationSet = [], object: String = "disk", door: OpenDoor = .library, descends: Bool = false,
    ancestors: [ProcessResource] = []
  ) -> Judgement {
    policy.judge(
      open: OpenRequest(
        subject: subject, object: object, operations: operations, door: door, descendsFromHolder: descends,
        ancestors: ancestors),
      authority: authority, facts: facts())
  }

  func revalidate(_ operations: OperationSet, application: String = "shop") -> Judgement {
    policy.judge(
      revalidation: OpenRequest(subject: subject, object: "disk", operations: operations), application: application,
      authority: authority, facts: facts())
  }
}

extension Judgement {
  var authorization: Authorization? {
    if case .authorized(let authorization) = self { authorization } else { nil }
  }

  var refusal: JudgedRefusal? {
    if case .refused(let refusal) = self { refusal } else { nil }
  }

  /// The reason and detail that the asker is told; nil: authorized.
  var told: [String]? { refusal.map { [$0.told.reason.name, $0.told.detail.name] } }
}

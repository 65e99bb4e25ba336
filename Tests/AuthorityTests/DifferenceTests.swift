import Authority
import Instructions
import Testing

@Suite struct DifferenceTests {
  private func policy() -> PolicyModel {
    PolicyModel(
      objects: ["a", "b"].map {
        ObjectDefinition(name: $0, specification: .disk(DiskSpecification(path: "/\($0)")))
      },
      applications: ["x", "y"].map { ApplicationDefinition(name: $0, user: NamedID(name: $0, id: 1)) },
      grants: ["x", "y"].flatMap { application in
        ["a", "b"].map {
          GrantRule(application: application, object: $0, operations: OperationSet(.read))
        }
      })
  }

  private func key(_ application: String, _ object: String) -> GrantKey {
    GrantKey(application: application, object: object)
  }

  private func dropped(_ change: (inout PolicyModel) -> Void) -> Set<GrantKey> {
    var new = policy()
    change(&new)
    return policy().difference(to: new).dropped
  }

  @Test func `the same policy drops nobody`() {
    #expect(dropped { _ in }.isEmpty)
  }

  @Test func `order, limits and audit settings drop nobody`() {
    let found = dropped {
      $0.objects.reverse()
      $0.applications.reverse()
      $0.grants.reverse()
      $0.limits.connections = 1
      $0.audit.retention = 1
      $0.admins = "x"
    }
    #expect(found.isEmpty)
  }

  @Test func `a changed grant entry drops its own associations only`() {
    #expect(dropped { $0.grants[0].operations = OperationSet([.read, .info]) } == [key("x", "a")])
    #expect(dropped { $0.grants[0].message = "new" } == [key("x", "a")])
    #expect(dropped { $0.grants.remove(at: 3) } == [key("y", "b")])
  }

  @Test func `a changed application drops its associations`() {
    #expect(dropped { $0.applications[1].processes = 2 } == [key("y", "a"), key("y", "b")])
    #expect(dropped { $0.applications[0].user?.id = 2 } == [key("x", "a"), key("x", "b")])
    #expect(dropped { $0.applications.remove(at: 0) } == [key("x", "a"), key("x", "b")])
  }

  @Test func `a changed object drops its associations`() {
    #expect(
      dropped { $0.objects[0].specification = .disk(DiskSpecification(path: "/new")) } == [
        key("x", "a"), key("y", "a"),
      ])
    #expect(dropped { $0.objects.remove(at: 1) } == [key("x", "b"), key("y", "b")])
  }

  @Test func `an added grant, application or object drops nobody`() {
    let found = dropped {
      $0.objects.append(ObjectDefinition(name: "c", specification: .disk(DiskSpecification(path: "/c"))))
      $0.applications.append(ApplicationDefinition(name: "z", user: NamedID(name: "z", id: 3)))
      $0.grants.append(GrantRule(application: "z", object: "c", operations: OperationSet(.read)))
    }
    #expect(found.isEmpty)
  }

  @Test func `objects are replaced, removed and added by their specification`() {
    var new = policy()
    new.objects[0].specification = .disk(DiskSpecification(path: "/new"))
    new.objects[1].name = "c"
    let difference = policy().difference(to: new)
    #expect(difference.replaced == ["a"])
    #expect(difference.removed == ["b"])
    #expect(difference.added == ["c"])
  }

  @Test func `an object with a new message is not opened again`() {
    var new = policy()
    new.objects[0].message = "new"
    let difference = policy().difference(to: new)
    #expect(difference.replaced.isEmpty)
    #expect(difference.dropped == [key("x", "a"), key("y", "a")])
  }
}

@Suite struct AdministrationTests {
  private func isAdministrator(uid: UInt32?, gid: UInt32? = 5, groups: [UInt32] = [], admins: UInt32? = 990) -> Bool {
    let subject = Subject(
      process: ProcessResource(tgid: 1, start: 1), effectiveUID: uid, effectiveGID: gid, supplementaryGIDs: groups)
    return PolicyModel(adminsID: admins).isAdministrator(subject, brokerUID: 777)
  }

  @Test func `root, the broker's user and the admins group administer`() {
    #expect(isAdministrator(uid: 0))
    #expect(isAdministrator(uid: 777))
    #expect(isAdministrator(uid: 1000, groups: [4, 990]))
    #expect(isAdministrator(uid: 1000, gid: 990))
  }

  @Test func `anybody else does not`() {
    #expect(!isAdministrator(uid: 1000, groups: [989, 991]))
    #expect(!isAdministrator(uid: 1000, gid: nil, admins: nil))
  }

  @Test func `an unknown uid does not, whatever its groups`() {
    #expect(!isAdministrator(uid: nil, gid: 990, groups: [990]))
  }
}

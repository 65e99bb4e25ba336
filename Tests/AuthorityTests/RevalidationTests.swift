import Authority
import Instructions
import Testing

@Suite struct RevalidationTests {
  @Test func `a child whose selector matches gets the ancestor's operations`() {
    #expect(Scene().revalidate(OperationSet(.read)).authorization?.operations == OperationSet(.read))
  }

  @Test func `a child that the selector no longer matches is refused with selector`() {
    var scene = Scene()
    scene.subject.effectiveUID = 34
    #expect(scene.revalidate(OperationSet(.read)).told == ["refused", "selector"])
    #expect(scene.revalidate(OperationSet(.read)).refusal?.nearest?.mismatch == .user)
  }

  @Test func `on-fork deny refuses with the policy's message`() {
    var scene = Scene()
    scene.policy.grants[0].onFork = .deny
    scene.policy.grants[0].message = "no children"
    let refusal = scene.revalidate(OperationSet(.read)).refusal
    #expect(refusal?.told == Refusal(.refused, detail: .forkDenied, message: "no children"))
  }

  @Test func `another application's grant does not help`() {
    var scene = Scene()
    scene.policy.applications.append(ApplicationDefinition(name: "other", user: NamedID(name: "www-data", id: 33)))
    #expect(scene.revalidate(OperationSet(.read), application: "other").told == ["refused", "selector"])
  }

  @Test func `a standing revoke refuses with revoked`() {
    var scene = Scene()
    _ = scene.authority.add(StandingRevoke(id: 3, application: "shop"))
    #expect(scene.revalidate(OperationSet(.read)).told == ["revoked", "none"])
  }

  @Test func `another pid namespace and a tracer are refused as at open`() {
    var scene = Scene()
    scene.subject.traced = true
    #expect(scene.revalidate(OperationSet(.read)).told == ["refused", "tracer"])
    scene.subject.pidNamespace = Scene.container
    #expect(scene.revalidate(OperationSet(.read)).told == ["refused", "namespace"])
  }

  @Test func `an operation that is granted no more is operation`() {
    #expect(Scene().revalidate(OperationSet(.write)).told == ["operation", "none"])
  }

  @Test func `an object that is gone is no-such-object`() {
    var scene = Scene()
    scene.policy.objects = []
    #expect(scene.revalidate(OperationSet(.read)).told == ["no-such-object", "none"])
  }
}

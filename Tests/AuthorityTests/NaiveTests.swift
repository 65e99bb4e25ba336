import Authority
import Instructions
import TestSupport
import Testing

/// Random policies and askers against an evaluator that is written for reading, not for use.
@Suite struct NaiveTests {
  @Test func `random policies are judged as the naive evaluator judges them`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix(state: seed)
    var seen: Set<String> = []
    for round in 0..<8_000 {
      let scene = randomScene(&random)
      let operations = OperationSet(
        [Opcode.read, .write, .info].filter { _ in Int.random(in: 0..<3, using: &random) == 0 })
      let door: OpenDoor = Bool.random(using: &random) ? .library : .run
      let descends = Bool.random(using: &random)
      let found = summary(scene.open(operations, door: door, descends: descends))
      let expected = naive(scene, operations, door, descends)
      #expect(found == expected, "seed \(seed), round \(round)")
      seen.insert(String(expected.prefix { $0 != ":" }))
      if found != expected { return }
    }
    // The worlds are rich enough: every outcome of an open has been met.
    #expect(
      seen == [
        "authorized", "no-such-object none", "operation none", "revoked none", "refused namespace", "refused tracer",
        "refused fork-denied", "refused path-unavailable", "undecidable none",
      ])
  }

  private func summary(_ judgement: Judgement) -> String {
    switch judgement {
    case .authorized(let found):
      "authorized: \(found.application) \(found.operations.names) \(found.path.name) \(found.onFork)"
    case .refused(let refusal): "\(refusal.told.reason.name) \(refusal.told.detail.name)"
    }
  }

  private func randomScene(_ random: inout SplitMix) -> Scene {
    func one(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }
    var scene = Scene()
    let access: Access = Bool.random(using: &random) ? .readOnly : .readWrite
    scene.policy.objects = [
      ObjectDefinition(
        name: one(20) ? "other" : "disk", specification: .disk(DiskSpecification(path: "/a", access: access)))
    ]
    scene.policy.applications = (0..<3).map { number in
      var application = ApplicationDefinition(name: "app\(number)", traceable: one(2))
      if !one(3) { application.user = NamedID(name: "u", id: UInt32.random(in: 33...34, using: &random)) }
      if one(3) { application.group = NamedID(name: "g", id: UInt32.random(in: 43...45, using: &random)) }
      if one(3) { application.executable = one(2) ? "/usr/sbin/nginx" : "/usr/bin/python3" }
      if one(3) { application.cgroup = ["/a", "/a/b", "/a/bc"].randomElement(using: &random) }
      if one(6) { application.pidNamespace = "/run/ns/c" }
      if one(6) { application.networkNamespace = one(2) ? .host : .path("/run/ns/c") }
      return application
    }
    let pool: [Opcode] = [.read, .write, .info, .accept]
    scene.policy.grants = (0..<3).filter { _ in !one(3) }.map { number in
      var rule = GrantRule(
        application: "app\(number)", object: "disk", operations: OperationSet(pool.filter { _ in !one(3) }))
      rule.path = [.any, .any, .only(.mediated), .only(.direct)].randomElement(using: &random) ?? .any
      rule.handover = one(2)
      rule.recallAccepted = one(8)
      rule.onFork = [nil, .revalidate, .inherit, .deny].randomElement(using: &random) ?? nil
      if one(4) { rule.access = .readOnly }
      return rule
    }
    scene.policy.grants.shuffle(using: &random)
    if one(3) {
      let key = GrantKey(application: "app\(Int.random(in: 0..<3, using: &random))", object: "disk")
      scene.authority.add(
        RuntimeGrant(
          id: 1, key: key, operations: OperationSet(pool.filter { _ in one(2) }),
          expiry: one(2) ? nil : scene.now + UInt64.random(in: 0...1, using: &random)))
    }
    if one(4) {
      _ = scene.authority.add(
        StandingRevoke(
          id: 1, object: one(2) ? nil : ["disk", "other"].randomElement(using: &random),
          application: one(2) ? nil : "app\(Int.random(in: 0..<3, using: &random))",
          processes: one(2) ? nil : [ProcessResource(tgid: one(2) ? 500 : 501, start: 1000)]))
    }
    scene.subject.cgroup = [nil, "/a", "/a/b", "/a/bc", "/"].randomElement(using: &random) ?? nil
    scene.subject.executable = one(8) ? nil : one(2) ? Scene.nginx : Scene.python
    if one(10) { scene.subject.effectiveUID = nil }
    scene.subject.traced = one(12) ? nil : one(3)
    scene.subject.pidNamespace = one(20) ? nil : one(4) ? Scene.container : Scene.host
    scene.subject.networkNamespace = one(20) ? nil : one(4) ? Scene.container : Scene.host
    if one(2) { scene.paths.insert(.direct) }
    scene.isBlockDevice = one(8) ? nil : one(2)
    if one(2) { scene.paths.insert(.handover) }
    return scene
  }

  /// Section 3's rules, one after the other, with strings and loops.
  private func naive(_ scene: Scene, _ wanted: OperationSet, _ door: OpenDoor, _ descends: Bool) -> String {
    let subject = scene.subject
    guard let object = scene.policy.objects.first, object.name == "disk", case .disk(let disk) = object.specification
    else { return "no-such-object none" }
    var decider: (ApplicationDefinition, GrantRule?, Set<String>)?
    var fallback: (ApplicationDefinition, GrantRule?, Set<String>)?
    for application in scene.policy.applications {
      var given = false
      var good = true
      if let user = application.user {
        given = true
        if subject.effectiveUID != user.id { good = false }
      }
      if let group = application.group {
        given = true
        if !([subject.effectiveGID].compactMap(\.self) + subject.supplementaryGIDs).contains(group.id) { good = false }
      }
      if let executable = application.executable {
        given = true
        if subject.executable == nil || subject.executable != scene.identities[executable] { good = false }
      }
      if let cgroup = application.cgroup {
        given = true
        if !"\(subject.cgroup ?? "")/".hasPrefix("\(cgroup)/") { good = false }
      }
      let rule = scene.policy.grants.first { $0.application == application.name }
      let added = scene.authority.grants.filter {
        $0.key.application == application.name && scene.now < $0.expiry ?? .max
      }
      if !given || !good || (rule == nil && added.isEmpty) { continue }
      var names = Set(rule?.operations.names ?? [])
      for grant in added { names.formUnion(grant.operations.names) }
      names.remove("accept")
      if disk.access == .readOnly || rule?.access == .readOnly { names.remove("write") }
      if fallback == nil { fallback = (application, rule, names) }
      if decider == nil, names.isSuperset(of: wanted.names) { decider = (application, rule, names) }
    }
    guard let (application, rule, names) = decider ?? fallback else { return "no-such-object none" }
    if subject.pidNamespace == nil { return "undecidable none" }
    if application.networkNamespace != nil, subject.networkNamespace == nil { return "undecidable none" }
    if !application.traceable, subject.traced == nil { return "undecidable none" }
    for revoke in scene.authority.revokes {
      if let named = revoke.object, named != "disk" { continue }
      if let named = revoke.application, named != application.name { continue }
      if let named = revoke.processes, !named.contains(subject.process) { continue }
      return "revoked none"
    }
    if decider == nil || names.isEmpty { return "operation none" }
    if subject.pidNamespace != (application.pidNamespace == nil ? Scene.host : Scene.container) {
      return "refused namespace"
    }
    if let network = application.networkNamespace,
      subject.networkNamespace != (network == .host ? Scene.host : Scene.container)
    {
      return "refused namespace"
    }
    if !application.traceable, subject.traced == true { return "refused tracer" }
    if descends, rule?.onFork == .deny { return "refused fork-denied" }
    let operations = wanted.isEmpty || door == .run ? names : Set(wanted.names)
    // Writing to an image file, and what cannot be looked at, the kernel cannot hold anybody to.
    let direct =
      scene.paths.contains(.direct) && scene.isBlockDevice != nil
      && (scene.isBlockDevice == true || !operations.contains("write"))
    let choice = rule?.path ?? .any
    var path = "mediated"
    if door == .run {
      if choice == .only(.mediated) { return "refused path-unavailable" }
      if direct {
        path = "direct"
      } else if choice == .any, rule?.handover == true, scene.paths.contains(.handover) {
        path = "handover"
      } else {
        return "refused path-unavailable"
      }
    } else if choice == .only(.direct) {
      if !direct { return "refused path-unavailable" }
      path = "direct"
    } else if choice == .any, direct {
      path = "direct"
    }
    if rule?.recallAccepted == true, path != "direct" { return "refused path-unavailable" }
    let fork = rule?.onFork ?? (door == .run ? .inherit : .revalidate)
    let ordered = Opcode.allCases.map(\.name).filter(operations.contains)
    return "authorized: \(application.name) \(ordered) \(path) \(fork)"
  }
}

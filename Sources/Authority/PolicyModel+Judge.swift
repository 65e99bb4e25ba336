import Instructions

extension PolicyModel {
  /// Judges an open: policy, runtime grants and standing revokes, in that order of material, with no quota, busy or holder.
  ///
  /// `open` and `can-i` both ask this function; the same arguments give the same answer.
  public func judge(open request: OpenRequest, authority: RuntimeAuthority, facts: MachineFacts) -> Judgement {
    guard let object = objects.first(where: { $0.name == request.object }) else {
      return .refused(JudgedRefusal(told: Refusal(.noSuchObject), cause: .unknownObject))
    }
    let entries = entries(for: object, authority: authority, now: facts.now)
    guard !entries.isEmpty else {
      return .refused(JudgedRefusal(told: Refusal(.noSuchObject), cause: .noGrant))
    }
    var candidates: [Entry] = []
    var nearest: (entry: Entry, match: ApplicationDefinition.Match)?
    for entry in entries {
      let match = entry.application.match(request.subject, identity: facts.identity)
      if match.isComplete {
        candidates.append(entry)
      } else if nearest.map({ match.matching > $0.match.matching }) ?? true {
        nearest = (entry, match)
      }
    }
    guard let first = candidates.first else {
      // The asker may not know that the object exists: neither the reason nor the message tells.
      let near = nearest.map {
        NearestGrant(application: $0.entry.application.name, grant: $0.entry.position, mismatch: $0.match.mismatch)
      }
      return .refused(
        JudgedRefusal(told: Refusal(.noSuchObject), cause: .noMatchingApplication, nearest: near))
    }
    let covering = candidates.first { entry in
      request.operations.isEmpty || entry.effective.isSuperset(of: request.operations)
    }
    let decider = covering ?? first
    if let refusal = refusal(of: decider, request: request, authority: authority, facts: facts) {
      return .refused(refusal)
    }
    guard covering != nil, !decider.effective.isEmpty else {
      return .refused(
        decider.refusal(.operation, .operationsMissing(request.operations.subtracting(decider.effective))))
    }
    if let refusal = decider.ruleRefusal(request: request, facts: facts) { return .refused(refusal) }
    return decider.judge(request, available: facts.availablePaths)
  }

  /// Judges whether a process may take part in an association that its ancestor has or had with `key`: everything that
  /// the policy says about it, and nothing about holders and descent.
  ///
  /// - Parameter operations: the ancestor's; the child gets these or a refusal.
  public func judge(
    revalidation request: OpenRequest, application: String, authority: RuntimeAuthority, facts: MachineFacts
  ) -> Judgement {
    guard let object = objects.first(where: { $0.name == request.object }) else {
      return .refused(JudgedRefusal(told: Refusal(.noSuchObject), cause: .unknownObject))
    }
    let entries = entries(for: object, authority: authority, now: facts.now)
    guard let entry = entries.first(where: { $0.application.name == application }) else {
      return .refused(JudgedRefusal(told: Refusal(.refused, detail: .selector), cause: .noGrant))
    }
    if let refusal = refusal(of: entry, request: request, authority: authority, facts: facts) {
      return .refused(refusal)
    }
    guard !entry.effective.isEmpty, entry.effective.isSuperset(of: request.operations) else {
      return .refused(
        entry.refusal(.operation, .operationsMissing(request.operations.subtracting(entry.effective))))
    }
    let match = entry.application.match(request.subject, identity: facts.identity)
    guard match.isComplete else {
      var refusal = entry.refusal(.refused, .noMatchingApplication, detail: .selector)
      refusal.nearest?.mismatch = match.mismatch
      return .refused(refusal)
    }
    var descended = request
    descended.descendsFromHolder = true
    if let refusal = entry.ruleRefusal(request: descended, facts: facts) { return .refused(refusal) }
    return entry.judge(request, available: facts.availablePaths)
  }

  /// What comes before every rule of the grant: facts that are missing, then standing revokes.
  private func refusal(
    of entry: Entry, request: OpenRequest, authority: RuntimeAuthority, facts: MachineFacts
  ) -> JudgedRefusal? {
    if let fact = entry.missingFact(subject: request.subject, facts: facts) {
      return entry.refusal(.undecidable, .unknownFact(fact))
    }
    let revoke = authority.revokes.first {
      $0.blocks(entry.key, process: request.subject.process, ancestors: request.ancestors)
    }
    return revoke.map { entry.refusal(.revoked, .standingRevoke($0.id)) }
  }
}

extension PolicyModel {
  /// One application's whole grant for one object: the policy's entry and the live runtime grants.
  struct Entry {
    var application: ApplicationDefinition
    var object: ObjectDefinition
    /// In `PolicyModel.grants`; nil: only runtime grants.
    var position: Int?
    /// The policy's entry; where it has none, one that grants nothing by itself.
    var rule: GrantRule
    var runtime: [RuntimeGrant]
    /// nil: the limits leave nothing, or do not fit together.
    var limits: LimitSet?
    var effective: OperationSet

    var key: GrantKey { GrantKey(application: application.name, object: object.name) }
    var message: String { rule.message.isEmpty ? object.message : rule.message }
  }

  /// Every application with a grant for `object`, in file order.
  func entries(for object: ObjectDefinition, authority: RuntimeAuthority, now: UInt64) -> [Entry] {
    let written = grants.indices.filter { grants[$0].object == object.name }
    let runtime = authority.grants.filter { $0.key.object == object.name && $0.isLive(at: now) }
    guard !written.isEmpty || !runtime.isEmpty else { return [] }
    return applications.compactMap { application in
      let position = written.first { grants[$0].application == application.name }
      let added = runtime.filter { $0.key.application == application.name }
      guard position != nil || !added.isEmpty else { return nil }
      let rule =
        position.map { grants[$0] } ?? GrantRule(application: application.name, object: object.name, operations: [])
      let granted = added.reduce(rule.operations) { $0.union($1.operations) }
      let limits = try? LimitSet(object, narrowedBy: rule)
      let effective = limits?.effective(granted.intersection(object.kind.operations)) ?? []
      return Entry(
        application: application, object: object, position: position, rule: rule, runtime: added, limits: limits,
        effective: effective)
    }
  }
}

extension PolicyModel.Entry {
  func refusal(_ reason: Reason, _ cause: RefusalCause, detail: RefusalDetail = .none) -> JudgedRefusal {
    JudgedRefusal(
      told: Refusal(reason, detail: detail, message: message), cause: cause,
      nearest: NearestGrant(application: application.name, grant: position, mismatch: nil))
  }

  /// The first fact that a rule needs and that could not be found out.
  func missingFact(subject: Subject, facts: MachineFacts) -> String? {
    if subject.pidNamespace == nil { return "pid namespace" }
    if expectedPIDNamespace(facts) == nil { return "expected pid namespace" }
    if let network = application.networkNamespace {
      if subject.networkNamespace == nil { return "network namespace" }
      if facts.identity(of: network) == nil { return "expected network namespace" }
    }
    if !application.traceable, subject.traced == nil { return "tracer" }
    return nil
  }

  private func expectedPIDNamespace(_ facts: MachineFacts) -> FileIdentity? {
    application.pidNamespace.map { facts.identity($0) } ?? facts.pidNamespace
  }

  /// The rules that end in `refused`; every fact that they need is there.
  func ruleRefusal(request: OpenRequest, facts: MachineFacts) -> JudgedRefusal? {
    let subject = request.subject
    let network = application.networkNamespace
    if subject.pidNamespace != expectedPIDNamespace(facts)
      || network.map({ subject.networkNamespace != facts.identity(of: $0) }) ?? false
    {
      return refusal(.refused, .namespaceRule, detail: .namespace)
    }
    if !application.traceable, subject.traced != false {
      return refusal(.refused, .tracerRule, detail: .tracer)
    }
    if request.descendsFromHolder, rule.onFork == .deny {
      return refusal(.refused, .forkRule, detail: .forkDenied)
    }
    return nil
  }

  /// The last rule, that of the path. What no path of this version can do is refused, never left out.
  func judge(_ request: OpenRequest, available: Set<OperationPath>) -> Judgement {
    // No path takes accepted connections back.
    if rule.recallAccepted { return .refused(refusal(.refused, .recallRule, detail: .pathUnavailable)) }
    guard let path = path(door: request.door, available: available) else {
      let cause = request.door == .run ? RefusalCause.handoverRule(whyNotHeld) : .pathRule
      return .refused(refusal(.refused, cause, detail: .pathUnavailable))
    }
    return .authorized(authorization(request: request, path: path))
  }

  /// The path by which operations will travel; nil: what the grant demands is not there.
  private func path(door: OpenDoor, available: Set<OperationPath>) -> OperationPath? {
    let handover: OperationPath? =
      rule.handover && available.contains(.handover) && object.handoverObstacle(rule) == nil ? .handover : nil
    return switch (door, rule.path) {
    case (.library, .any): available.contains(.direct) ? .direct : .mediated
    case (.library, .only(.mediated)): .mediated
    case (.library, .only(.handover)): handover
    case (.library, .only(let path)): available.contains(path) ? path : nil
    case (.run, .only(.mediated)), (.run, .only(.ring)): nil
    case (.run, .only(.direct)): available.contains(.direct) ? .direct : nil
    case (.run, .any), (.run, .only(.handover)): available.contains(.direct) ? .direct : handover
    }
  }

  /// Why a program that does not know Postern cannot hold the object's own descriptor under this grant.
  private var whyNotHeld: String {
    switch rule.path {
    case .only(.mediated), .only(.ring):
      return "the grant says `path: \(rule.pathName)`; run and open need `path: any` and `handover: true`"
    case .only(.direct): return "the grant says `path: direct`, which needs the BPF entity"
    case .any, .only(.handover): break
    }
    if let obstacle = object.handoverObstacle(rule) { return obstacle }
    return rule.handover
      ? "the object's own descriptor cannot be given to this program"
      : "the grant lacks `handover: true`; without the BPF entity the program would hold a descriptor that nobody checks"
  }

  /// Called where `effective` covers the request and is not empty, so that limits exist.
  private func authorization(request: OpenRequest, path: OperationPath) -> Authorization {
    // A program that cannot ask again gets all at once.
    let operations = request.operations.isEmpty || request.door == .run ? effective : request.operations
    let used = runtimeGrants(for: operations.subtracting(rule.operations))
    return Authorization(
      application: application.name, object: object.name, operations: operations,
      limits: limits ?? LimitSet(), path: path,
      onFork: rule.onFork ?? (request.door == .run ? .inherit : .revalidate), onExec: rule.onExec,
      expires: rule.expires, endsAt: used.compactMap(\.expiry).min(), runtimeGrants: used.map(\.id), rule: rule,
      message: message, processes: application.processes, requestsPerSecond: application.requestsPerSecond)
  }
}

extension PolicyModel.Entry {
  /// The runtime grants that these operations rest on: for each the one that lasts longest. What the policy's own entry
  /// grants rests on none, so that a runtime grant never shortens it.
  private func runtimeGrants(for operations: OperationSet) -> [RuntimeGrant] {
    var used: [RuntimeGrant] = []
    for opcode in operations.opcodes {
      let lasting = runtime.filter { $0.operations.contains(opcode) }.max {
        ($0.expiry ?? .max) < ($1.expiry ?? .max)
      }
      if let lasting, !used.contains(lasting) { used.append(lasting) }
    }
    return used
  }
}

extension MachineFacts {
  func identity(of network: NetworkNamespace) -> FileIdentity? {
    switch network {
    case .host: networkNamespace
    case .path(let path): identity(path)
    }
  }
}

import Instructions

extension PolicyModel {
  /// Judges an open: policy, runtime grants and standing revokes, in that order of material, with no quota, busy or holder.
  ///
  /// `open` and `can-i` both ask this function; the same arguments give the same answer.
  public func judge(open request: OpenRequest, authority: RuntimeAuthority, facts: MachineFacts) -> Judgement {
    examine(open: request, authority: authority, facts: facts).judgement
  }

  /// Judges an open, and says how each grant for the object stood to it.
  public func examine(open request: OpenRequest, authority: RuntimeAuthority, facts: MachineFacts) -> Examination {
    guard let object = objects.first(where: { $0.name == request.object }) else {
      return Examination(JudgedRefusal(told: Refusal(.noSuchObject), cause: .unknownObject))
    }
    let entries = entries(for: object, authority: authority, now: facts.now)
    guard !entries.isEmpty else {
      return Examination(JudgedRefusal(told: Refusal(.noSuchObject), cause: .noGrant))
    }
    let matches = entries.map { $0.application.match(request.subject, identity: facts.identity) }
    var examination = Examination(JudgedRefusal(told: Refusal(.noSuchObject), cause: .noMatchingApplication))
    examination.grants = zip(entries, matches).map { ExaminedGrant($0, $1) }
    let candidates = entries.indices.filter { matches[$0].isComplete }
    guard let first = candidates.first else {
      // The asker may not know that the object exists: neither the reason nor the message tells.
      var nearest: Int?
      for index in entries.indices where nearest.map({ matches[index].count > matches[$0].count }) ?? true {
        nearest = index
      }
      let near = nearest.map {
        NearestGrant(
          application: entries[$0].application.name, grant: entries[$0].position, mismatch: matches[$0].mismatch)
      }
      examination.judgement = .refused(
        JudgedRefusal(told: Refusal(.noSuchObject), cause: .noMatchingApplication, nearest: near))
      return examination
    }
    let covering = candidates.first { index in
      request.operations.isEmpty || entries[index].effective.isSuperset(of: request.operations)
    }
    examination.decider = covering ?? first
    let decider = entries[covering ?? first]
    examination.judgement = judge(
      decider, covers: covering != nil, request: request, authority: authority, facts: facts)
    return examination
  }

  /// The one grant that decides, held against the request rule by rule.
  private func judge(
    _ decider: Entry, covers: Bool, request: OpenRequest, authority: RuntimeAuthority, facts: MachineFacts
  ) -> Judgement {
    if let refusal = refusal(of: decider, request: request, authority: authority, facts: facts) {
      return .refused(refusal)
    }
    guard covers, !decider.effective.isEmpty else {
      return .refused(
        decider.refusal(.operation, .operationsMissing(request.operations.subtracting(decider.effective))))
    }
    if let refusal = decider.ruleRefusal(request: request, facts: facts) { return .refused(refusal) }
    return decider.judge(request, facts)
  }

  /// Judges whether a process may take part in an association that its ancestor has or had with `key`: everything that
  /// the policy says about it, and nothing about holders and descent.
  ///
  /// - Parameter operations: the ancestor's; the child gets these or a refusal.
  public func judge(
    revalidation request: OpenRequest, application: String, authority: RuntimeAuthority, facts: MachineFacts
  ) -> Judgement {
    examine(revalidation: request, application: application, authority: authority, facts: facts).judgement
  }

  /// Judges a revalidation, and says how the application's grant stood to it.
  public func examine(
    revalidation request: OpenRequest, application: String, authority: RuntimeAuthority, facts: MachineFacts
  ) -> Examination {
    guard let object = objects.first(where: { $0.name == request.object }) else {
      return Examination(JudgedRefusal(told: Refusal(.noSuchObject), cause: .unknownObject))
    }
    let entries = entries(for: object, authority: authority, now: facts.now)
    guard let entry = entries.first(where: { $0.application.name == application }) else {
      return Examination(JudgedRefusal(told: Refusal(.refused, detail: .selector), cause: .noGrant))
    }
    let match = entry.application.match(request.subject, identity: facts.identity)
    func examined(_ judgement: Judgement) -> Examination {
      Examination(judgement: judgement, grants: [ExaminedGrant(entry, match)], decider: 0)
    }
    if let refusal = refusal(of: entry, request: request, authority: authority, facts: facts) {
      return examined(.refused(refusal))
    }
    guard !entry.effective.isEmpty, entry.effective.isSuperset(of: request.operations) else {
      return examined(
        .refused(entry.refusal(.operation, .operationsMissing(request.operations.subtracting(entry.effective)))))
    }
    guard match.isComplete else {
      var refusal = entry.refusal(.refused, .noMatchingApplication, detail: .selector)
      refusal.nearest?.mismatch = match.mismatch
      return examined(.refused(refusal))
    }
    var descended = request
    descended.descendsFromHolder = true
    if let refusal = entry.ruleRefusal(request: descended, facts: facts) { return examined(.refused(refusal)) }
    return examined(entry.judge(request, facts))
  }

  /// What an association that an earlier broker has made may go on with: this policy's grant, which has to cover it.
  ///
  /// - Parameter onFork: as it was made, since the door is not known any more.
  public func authorization(
    application: String, object name: String, operations: OperationSet, onFork: ForkRule
  ) -> Authorization? {
    guard let object = objects.first(where: { $0.name == name }),
      let entry = entries(for: object, authority: RuntimeAuthority(), now: 0).first(where: {
        $0.application.name == application
      }), !operations.isEmpty, entry.effective.isSuperset(of: operations)
    else { return nil }
    return entry.authorization(covering: operations, onFork: onFork, path: .direct)
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
  func judge(_ request: OpenRequest, _ facts: MachineFacts) -> Judgement {
    let obstacle = directObstacle(request, facts)
    let ringObstacle = ringObstacle(request, facts)
    guard
      let path = path(
        door: request.door, isDirectPossible: obstacle == nil, isRingPossible: ringObstacle == nil,
        available: facts.availablePaths)
    else {
      return .refused(
        refusal(.refused, .pathRule(whyNoPath(request.door, obstacle, ringObstacle)), detail: .pathUnavailable))
    }
    // Only the kernel knows a connection again.
    if rule.recallAccepted, path != .direct {
      return .refused(
        refusal(.refused, .recallRule(obstacle ?? "the grant names another path"), detail: .pathUnavailable))
    }
    return .authorized(authorization(request: request, path: path))
  }

  /// Why operations cannot travel on the path direct; nil: they can.
  private func directObstacle(_ request: OpenRequest, _ facts: MachineFacts) -> String? {
    guard facts.availablePaths.contains(.direct) else { return MachineFacts.directUnavailable }
    if application.requestsPerSecond != nil { return "requests-per-second is counted on the mediated path only" }
    return object.directObstacle(
      rule, operations: operations(of: request), isBlockDevice: facts.isBlockDevice)
  }

  /// Why operations cannot travel through a ring; nil: they can.
  private func ringObstacle(_ request: OpenRequest, _ facts: MachineFacts) -> String? {
    guard facts.availablePaths.contains(.ring) else { return MachineFacts.ringUnavailable }
    if application.requestsPerSecond != nil { return "requests-per-second is counted on the mediated path only" }
    return object.ringObstacle(rule, operations: operations(of: request), sendTo: limits?.sendTo)
  }

  /// A program that cannot ask again gets all at once.
  private func operations(of request: OpenRequest) -> OperationSet {
    request.operations.isEmpty || request.door == .run ? effective : request.operations
  }

  /// The path by which operations will travel; nil: what the grant demands is not there.
  private func path(
    door: OpenDoor, isDirectPossible: Bool, isRingPossible: Bool, available: Set<OperationPath>
  ) -> OperationPath? {
    let direct: OperationPath? = isDirectPossible ? .direct : nil
    let handover: OperationPath? =
      rule.handover && available.contains(.handover) && object.handoverObstacle(rule) == nil ? .handover : nil
    return switch (door, rule.path) {
    case (.library, .any): direct ?? .mediated
    case (.library, .only(.direct)): direct
    case (.library, .only(.mediated)): .mediated
    case (.library, .only(.handover)): handover
    case (.library, .only(.ring)): isRingPossible ? .ring : nil
    case (.run, .only(.mediated)), (.run, .only(.ring)): nil
    case (.run, .only(.direct)): direct
    case (.run, .any), (.run, .only(.handover)): direct ?? handover
    }
  }

  /// Why no path is left; for a program that does not know Postern, why it cannot hold the object's own descriptor.
  private func whyNoPath(_ door: OpenDoor, _ obstacle: String?, _ ringObstacle: String?) -> String {
    switch (door, rule.path) {
    case (.library, .only(.ring)):
      return "the grant says `path: ring`, and \(ringObstacle ?? "that is not possible")"
    case (_, .only(.direct)):
      return "the grant says `path: direct`, and \(obstacle ?? "that is not possible")"
    case (.run, .only(.mediated)), (.run, .only(.ring)):
      return "the grant says `path: \(rule.pathName)`; run and open need `path: any` and `handover: true`"
    case (.library, _): return "the demanded path is not available"
    case (.run, .any), (.run, .only(.handover)): break
    }
    if let obstacle = object.handoverObstacle(rule) { return obstacle }
    return rule.handover
      ? "the object's own descriptor cannot be given to this program"
      : "the grant lacks `handover: true`; without the BPF entity the program would hold a descriptor that nobody checks"
  }

  /// Called where `effective` covers the request and is not empty, so that limits exist.
  private func authorization(request: OpenRequest, path: OperationPath) -> Authorization {
    authorization(
      covering: operations(of: request), onFork: rule.onFork ?? (request.door == .run ? .inherit : .revalidate),
      path: path)
  }

  func authorization(covering operations: OperationSet, onFork: ForkRule, path: OperationPath) -> Authorization {
    let used = runtimeGrants(for: operations.subtracting(rule.operations))
    return Authorization(
      application: application.name, object: object.name, operations: operations,
      limits: limits ?? LimitSet(), path: path, onFork: onFork, onExec: rule.onExec,
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

import Authority
import Instructions
import Linux
import Objects
import Wire

extension Broker {
  /// What a program of the caller's would get through `postern run`: a preview, the verdict comes with the call.
  ///
  /// The executable is not known yet, so that every one that a grant names counts; user, group and cgroup are the
  /// caller's own. What is refused is told only where it was asked for by name or where the caller may know of it.
  func plan(_ query: PlanQuery, for caller: Caller) -> Page<PlanRow> {
    var page = Page<PlanRow>()
    for (index, definition) in policy.objects.enumerated() where UInt64(index) >= query.cursor {
      guard query.object.isEmpty || query.object == definition.name else { continue }
      guard let row = planRow(definition, for: caller, isNamed: !query.object.isEmpty) else { continue }
      guard (try? page.append(row)) == true else {
        page.next = UInt64(index)
        return page
      }
    }
    if !query.object.isEmpty, page.rows.isEmpty, page.next == 0 {
      _ = try? page.append(
        PlanRow(
          object: query.object, kind: .socket, specification: "", application: "", operations: [], path: .handover,
          calls: [], refusal: .noSuchObject, why: "there is no such object, or no grant of it for this user"))
    }
    return page
  }

  private func planRow(_ definition: ObjectDefinition, for caller: Caller, isNamed: Bool) -> PlanRow? {
    let facts = handoverFacts()
    var refused: JudgedRefusal?
    for executable in executables(for: definition.name) {
      var subject = caller.subject
      if let executable { subject.executable = facts.identity(executable) }
      // Whoever asks now may be traced; what runs then is judged then.
      subject.traced = false
      let asked = OpenRequest(
        subject: subject, object: definition.name,
        operations: definition.kind == .socket ? definition.operationsAsked(access: nil) : [], door: .run,
        ancestors: ancestors(of: caller.pid))
      switch policy.judge(open: asked, authority: authority, facts: facts) {
      case .authorized(let authorization):
        if let obstacle = diskObstacle(definition, authorization.limits) {
          return PlanRow(
            object: definition.name, kind: definition.kind, specification: definition.summary,
            application: authorization.application, operations: [], path: .handover, calls: definition.notifiedCalls,
            refusal: .refused, why: obstacle)
        }
        return PlanRow(
          object: definition.name, kind: definition.kind, specification: definition.summary,
          application: authorization.application, operations: authorization.operations, path: authorization.path,
          calls: definition.notifiedCalls, executable: executable ?? "",
          why: authorization.path == .direct ? "" : definition.whatNobodyChecks(authorization.rule))
      case .refused(let refusal):
        if refusal.told.reason != .noSuchObject { refused = refused ?? refusal }
      }
    }
    guard let refused else { return nil }
    let message = refused.told.message
    return PlanRow(
      object: definition.name, kind: definition.kind, specification: definition.summary,
      application: refused.nearest?.application ?? "", operations: [], path: .handover,
      calls: definition.notifiedCalls, refusal: refused.told.reason,
      why: message.isEmpty ? refused.cause.text : "\(refused.cause.text); \(message)")
  }

  /// Why the disk's own descriptor could not be given away, which only opening it tells; nil: it could.
  private func diskObstacle(_ definition: ObjectDefinition, _ limits: LimitSet) -> String? {
    guard case .disk(let disk) = definition.specification else { return nil }
    do {
      let opened = try DiskObject.open(disk, own: opener.own)
      let isWhole = opened.isWhole && (limits.range == nil || limits.range == opened.footprint?.range)
      return isWhole ? nil : Self.rangeObstacle
    } catch { return "\(error)" }
  }

  /// nil, for any, and then each executable that an application with a grant for the object names.
  private func executables(for object: String) -> [String?] {
    let named = policy.grants.filter { $0.object == object }.compactMap { grant in
      policy.applications.first { $0.name == grant.application }?.executable
    }
    return [nil] + named.map(Optional.some)
  }
}

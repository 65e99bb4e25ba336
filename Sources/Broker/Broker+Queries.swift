import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Wire

extension Broker {
  func status(for caller: Caller) -> Page<StatusRow> {
    let table = entity.statistics()
    let counters = journal.counters
    var fastPath: (hits: UInt64, misses: UInt64) = (0, 0)
    for channel in channels.values {
      fastPath.hits += channel.fastPath.hits
      fastPath.misses += channel.fastPath.misses
    }
    let rows: [(String, String)] = [
      ("version", configuration.version),
      ("pid", "\(Confinement.processID)"),
      ("uptime-seconds", "\((Clock.boottime() - startedAt) / 1_000_000_000)"),
      ("policy", StandardPath.absolute(configuration.policyFile)),
      ("policy-warnings", "\(policyWarnings.count)"),
      ("objects", "\(objects.count)"),
      ("applications", "\(policy.applications.count)"),
      ("grants", "\(policy.grants.count)"),
      ("runtime-grants", "\(authority.grants.count)"),
      ("standing-revokes", "\(authority.revokes.count)"),
      ("associations", "\(table.live)"),
      ("tombstones", "\(table.tombstones)"),
      ("table-bytes", "\(table.bytes)"),
      ("processes", "\(processes.count)"),
      ("channels", "\(channels.count)"),
      ("connections", "\(connections.count)"),
      ("supervised-programs", "\(supervisors.count)"),
      ("fork-events", processEvents == nil ? "no (descent is shown by the inherited channel)" : "yes"),
      ("refusals", "\(refusals)"),
      ("fast-path-hits", "\(fastPath.hits)"),
      ("fast-path-misses", "\(fastPath.misses)"),
      ("audit-appended", "\(counters.appended)"),
      ("audit-durable", "\(counters.durable)"),
      ("audit-dropped", "\(counters.dropped)"),
      ("audit-write-errors", "\(counters.writeErrors)"),
      ("audit-queue", "\(counters.depth)"),
      ("audit-readable", caller.mayReadAudit ? "all" : "own uid"),
      ("audit-source", journal.source.text),
      ("state-directory", configuration.stateDirectory),
      ("connections-per-user", "\(policy.limits.connections)"),
      ("requests-per-user", "\(policy.limits.requests)"),
      ("objects-per-user", "\(policy.limits.objects)"),
    ]
    var page = Page<StatusRow>()
    for (key, value) in rows + sinkRows { _ = try? page.append(StatusRow(key: key, value: value)) }
    return page
  }

  /// Objects that the caller may know of: administrators all, others those for which an application matches them.
  func list(_ query: ObjectQuery, for caller: Caller) -> Page<ObjectRow> {
    var page = Page<ObjectRow>()
    let facts = machineFacts(accepting: .ring)
    for id in objects.keys.sorted() where UInt64(id.rawValue) >= query.cursor {
      guard let object = objects[id], query.name.isEmpty || query.name == object.definition.name,
        let operations = caller.isAdministrator
          ? object.definition.availableOperations : granted(object, to: caller, facts)
      else { continue }
      let row = ObjectRow(
        object: id, name: object.definition.name, kind: object.definition.kind,
        operations: operations, generation: object.generation,
        associations: UInt32(associationOwners.values.count { $0.object == id }),
        specification: object.definition.summary, unavailable: object.whyUnavailable)
      guard (try? page.append(row)) == true else {
        page.next = UInt64(id.rawValue)
        break
      }
    }
    return page
  }

  /// What the caller may do with the object; nil: they may not know of it.
  private func granted(_ object: BrokeredObject, to caller: Caller, _ facts: MachineFacts) -> OperationSet? {
    var subject = caller.subject
    // Not looked at here; it is when the object is opened.
    subject.traced = false
    let asked = OpenRequest(subject: subject, object: object.definition.name)
    switch policy.judge(open: asked, authority: authority, facts: facts) {
    case .authorized(let authorization): return authorization.operations
    case .refused(let refusal): return refusal.told.reason == .noSuchObject ? nil : []
    }
  }

  func answerAssociations(
    _ query: AssociationQuery, id: UInt64, for caller: Caller, on connection: ControlConnection
  ) {
    if query.pid != 0, !caller.isAdministrator, isForeign(Int32(bitPattern: query.pid), to: caller) {
      recordForbidden(.associations, by: caller)
      return answer(
        connection, id, .failed(Failure(errno: ErrorCode.notPermitted, text: "that process is another user's")))
    }
    answer(connection, id, .associations(associations(query, for: caller)))
  }

  /// Whether the process is another user's; one that does not exist is nobody's.
  private func isForeign(_ pid: Int32, to caller: Caller) -> Bool {
    guard pid > 0 else { return false }
    let uid = processes[pid]?.subject.effectiveUID ?? ProcessFacts.effectiveUID(of: pid)
    return uid.map { $0 != caller.uid } ?? false
  }

  private func associations(_ query: AssociationQuery, for caller: Caller) -> Page<AssociationRow> {
    var page = Page<AssociationRow>()
    let bootToWall = Int64(bitPattern: Clock.wall()) - Int64(bitPattern: Clock.boottime())
    let matching = associationOwners.keys.sorted().filter { $0.rawValue >= query.cursor }
    for association in matching {
      guard let owner = associationOwners[association], caller.isAdministrator || owner.uid == caller.uid,
        query.pid == 0 || owner.process.tgid == query.pid,
        query.object.isEmpty || owner.authorization.object == query.object,
        query.application.isEmpty || owner.authorization.application == query.application,
        let record = entity.record(for: owner.object, process: owner.process)
      else { continue }
      let row = AssociationRow(
        association: association, object: owner.authorization.object, application: owner.authorization.application,
        process: owner.process, path: record.path, operations: record.operations, generation: record.generation,
        since: owner.since,
        expiry: record.expiry == 0
          ? 0 : UInt64(bitPattern: Int64(clamping: record.expiry).addingReportingOverflow(bootToWall).partialValue),
        state: AssociationRow.State(rawValue: record.state.rawValue) ?? .live)
      guard (try? page.append(row)) == true else {
        page.next = association.rawValue
        break
      }
    }
    return page
  }

  /// May this user do that? Quiet: nothing is journaled.
  func answerCanI(_ query: CanI, id: UInt64, for caller: Caller, on connection: ControlConnection) {
    var subject = caller.subject
    if let uid = query.uid, uid != caller.uid {
      guard caller.isAdministrator else {
        return answer(
          connection, id,
          .failed(Failure(errno: ErrorCode.notPermitted, text: "only administrators ask for other users")))
      }
      guard let groups = Accounts.groups(ofUserID: uid) else {
        return answer(connection, id, .failed(Failure(errno: ErrorCode.invalid, text: "no user has the id \(uid)")))
      }
      subject.effectiveUID = uid
      subject.effectiveGID = groups.first
      subject.supplementaryGIDs = groups
    }
    if !query.executable.isEmpty {
      subject.executable = FileIdentity(ProcessFacts.identity(query.executable))
    }
    subject.traced = false
    let asked = OpenRequest(
      subject: subject, object: query.object, operations: query.operations, ancestors: ancestors(of: caller.pid))
    let verdict: CanIVerdict
    switch policy.judge(open: asked, authority: authority, facts: machineFacts(accepting: .ring)) {
    case .authorized(let authorization):
      verdict = CanIVerdict(
        reason: nil, errno: 0, application: authorization.application, object: query.object,
        operations: authorization.operations, path: authorization.path, message: authorization.message)
    case .refused(let refusal):
      let cause = caller.isAdministrator && refusal.told.message.isEmpty ? refusal.cause.text : refusal.told.message
      verdict = CanIVerdict(
        reason: refusal.told.reason, detail: refusal.told.detail, errno: refusal.told.reason.errno,
        application: caller.isAdministrator ? refusal.nearest?.application ?? "" : "", object: query.object,
        operations: query.operations, path: nil, message: cause)
    }
    answer(connection, id, .verdict(verdict))
  }

  /// A request that its sender has no right to, in the journal.
  func recordForbidden(_ kind: Request.Kind, by caller: Caller) {
    var refused = record(.refusal)
    refused.reason = .refused
    refused.errno = ErrorCode.notPermitted
    refused.describe(caller.subject)
    refused.message = ByteString("not permitted: \(kind)")
    refusals += 1
    _ = journal.submit(refused, durability: .none)
  }
}

extension Accounts {
  /// The primary group first; nil where no user has this id or it cannot be found out.
  static func groups(ofUserID uid: UInt32) -> [UInt32]? {
    guard let user = try? Accounts().user(id: uid), let groups = try? Accounts().groupIDs(of: user) else { return nil }
    return [user.gid] + groups.filter { $0 != user.gid }
  }
}

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
    let asked = OpenRequest(subject: caller.subject, object: object.definition.name)
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
    let uid = processes[pid]?.subject.effectiveUID ?? ProcessFacts(of: pid).effectiveUID
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

  func readAudit(_ query: AuditRead, id: UInt64, for caller: Caller, on connection: ControlConnection) {
    let counters = journal.counters
    let last = journal.last
    // Whoever asks for the newest gets what was recorded before; what is not on disk may be withdrawn, and is told to nobody.
    if query.mode == .newest, connection.following == nil, counters.durable < last, counters.failing == nil {
      journal.hurry()
      connection.following = ControlConnection.Following(id: id, request: query, caller: caller, until: last)
      return
    }
    answerAudit(query, id: id, for: caller, on: connection)
  }

  private func answerAudit(_ query: AuditRead, id: UInt64, for caller: Caller, on connection: ControlConnection) {
    guard let (page, isWhole) = auditPage(query, for: caller, on: connection) else {
      return answer(
        connection, id, .failed(Failure(errno: ErrorCode.inputOutput, text: "the audit journal cannot be read")))
    }
    if query.mode == .follow, page.rows.isEmpty, isWhole {
      var query = query
      // What has been looked at is not looked at again.
      query.after = max(query.after, page.next)
      connection.following = ControlConnection.Following(id: id, request: query, caller: caller)
      return
    }
    answer(connection, id, .records(page))
  }

  /// Records that one request may have looked at: the thread that checks does not read a whole journal for anybody.
  /// A page without rows that leads on says that there is more.
  private static let auditSpan = 4096

  /// Everybody sees what concerns their own uid; readers and administrators see all.
  private func auditPage(
    _ query: AuditRead, for caller: Caller, on connection: ControlConnection
  ) -> (page: Page<AuditRow>, isWhole: Bool)? {
    var filter = AuditFilter()
    if !caller.mayReadAudit { filter.uid = caller.uid }
    let limit = query.limit == 0 ? 1024 : min(Int(query.limit), 4096)
    var page = Page<AuditRow>(next: query.after)
    let durable = journal.counters.durable
    do {
      if query.mode == .newest {
        var rows: [AuditRow] = []
        // Where none matches, following goes on behind what is on disk now.
        var last = durable
        for item in try JournalReader.newest(
          limit, directory: configuration.stateDirectory, matching: filter, among: Self.auditSpan, upTo: durable)
        {
          guard case .record(let found) = item else { continue }
          let record = shown(found, to: caller)
          rows.append(AuditRow(bytes: record.encoded))
          last = record.nextSequence - 1
        }
        // The newest are wanted: where they do not all fit, the oldest of them give way.
        var kept = rows.count
        var size = 0
        while kept > 0, size + rows[kept - 1].bytes.count + 4 < Bounds.body - 64 {
          size += rows[kept - 1].bytes.count + 4
          kept -= 1
        }
        page.next = last
        for row in rows[kept...] { _ = try? page.append(row) }
        return (page, true)
      }
      guard query.after < .max else { return (page, true) }
      // Whoever reads page by page goes on where the page before ended: to look for the place anew would be to read the
      // segment from its start for every page.
      let isNext = connection.auditPosition == query.after
      connection.auditPosition = nil
      var cursor: AuditCursor
      if isNext, let kept = connection.auditCursor.take() {
        cursor = kept
      } else {
        connection.auditCursor = nil
        cursor = AuditCursor(
          reader: try JournalReader(directory: configuration.stateDirectory, from: query.after + 1))
      }
      var looked = 0
      while page.rows.count < limit, looked < Self.auditSpan, let item = try cursor.next(upTo: durable) {
        looked += 1
        guard case .record(let record) = item else { continue }
        if filter.matches(record),
          (try? page.append(AuditRow(bytes: shown(record, to: caller).encoded))) != true
        {
          cursor.held = item
          break
        }
        page.next = record.nextSequence - 1
      }
      connection.auditCursor = consume cursor
      connection.auditPosition = page.next
      return (page, looked < Self.auditSpan)
    } catch { return nil }
  }

  /// What a caller may see of a record: whoever was told that there is no such object is not told by the journal that
  /// there is, and which grant was nearest.
  private func shown(_ record: AuditRecord, to caller: Caller) -> AuditRecord {
    guard !caller.mayReadAudit, record.reason == .noSuchObject else { return record }
    var shown = record
    shown.application = nil
    shown.grant = nil
    shown.message = nil
    shown.generation = nil
    shown.circumstances = nil
    return shown
  }

  /// New records are on disk: whoever follows gets theirs.
  func feedFollowers() {
    for connection in Array(connections.values) {
      guard let following = connection.following else { continue }
      if let until = following.until {
        let counters = journal.counters
        guard counters.durable >= until || counters.failing != nil else { continue }
        connection.following = nil
        answerAudit(following.request, id: following.id, for: following.caller, on: connection)
        continue
      }
      guard let (page, isWhole) = auditPage(following.request, for: following.caller, on: connection) else { continue }
      guard !page.rows.isEmpty || !isWhole else {
        connection.following?.request.after = max(following.request.after, page.next)
        continue
      }
      connection.following = nil
      answer(connection, following.id, .records(page))
    }
  }
}

extension Accounts {
  /// The primary group first; nil where no user has this id or it cannot be found out.
  static func groups(ofUserID uid: UInt32) -> [UInt32]? {
    guard let user = try? Accounts().user(id: uid), let groups = try? Accounts().groupIDs(of: user) else { return nil }
    return [user.gid] + groups.filter { $0 != user.gid }
  }
}

import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Policy
import Supervision
import Wire

/// A revoke that waits for operations which had begun before it.
struct PendingRevoke {
  struct Item {
    /// 0: it held the object without one.
    var association: AssociationID
    var process: ProcessResource
    var path: OperationPath
    var object: String
    var application: String
    var channels: Set<UInt64>
  }

  var connection: UInt64
  var request: UInt64
  /// Boottime nanoseconds.
  var deadline: UInt64
  var items: [Item]
  /// Of what was handed over: the number of the recall, and the items that it concerns, in its order.
  var recall: UInt64?
  var recallItems: [Int] = []
  /// nil: it has not ended yet.
  var recalled: [Recall.Outcome]?
  /// Rings that are being emptied, by item.
  var rings: [Int: [RingUse]] = [:]
  /// What the state directory is to have of it before it is answered, as `RevokeStore` numbers it.
  var stored: UInt64
  /// Its time is up, and only the disk is waited for.
  var isOverdue = false

  /// Nanoseconds that the disk is waited for behind the deadline: one that hangs is not to hold up who revokes.
  static let diskPatience: UInt64 = 5_000_000_000

  /// When to look at it again, though nothing was told.
  var nextLook: UInt64 { isOverdue ? deadline &+ Self.diskPatience : deadline }

  /// Whether something may still become of it before the deadline.
  var isUnderWay: Bool {
    recall != nil && recalled == nil || rings.values.contains { $0.contains { $0.outcome == nil } }
  }
}

extension PendingRevoke {
  func outcome(of item: Int, running: Int) -> RevocationRow.Outcome {
    if let index = recallItems.firstIndex(of: item) {
      switch recalled?[index] {
      case .recalled: return .recalled
      case .cannotRecall(let why): return .cannotRecall(why: why)
      case .running(let count): return .running(UInt32(clamping: count))
      case nil: return .running(1)
      }
    }
    for use in rings[item] ?? [] {
      guard let outcome = use.outcome else { return .running(1) }
      if outcome != .recalled { return outcome }
    }
    return running == 0 ? .recalled : .running(UInt32(running))
  }
}

extension Broker {
  /// Ends every association that the order names, and blocks what it names until `grant` or `reload`.
  ///
  /// The answer comes when no operation of theirs runs any more, or the time is up.
  func revoke(_ order: Revoke, id: UInt64, by caller: Caller, on connection: ControlConnection) {
    // Those that the order does not name are to leave their calls, too.
    defer { recallRefused() }
    // Whoever has forked, executed or inherited up to now is to be found under its name of now.
    observeProcesses()
    takeOverBound(isRevoke: true)
    guard var selected = select(order) else {
      return answer(connection, id, .revocations(Page(next: 0)))
    }
    var dropped = drop(selected)
    // What a hook has made from one of them, or for one, in the very moment; afterwards none makes any more.
    if let direct,
      selected.standing.processes != nil || dropped.contains(where: { $0.path == .direct })
        || !direct.kernel.bound().isEmpty
    {
      try? DirectKernel.waitForChecks()
      observeProcesses()
      takeOverBound(isRevoke: true)
      if let again = select(order) {
        selected.add(again)
        dropped += drop(again)
      }
    }
    var items: [PendingRevoke.Item] = []
    for record in dropped {
      items.append(
        PendingRevoke.Item(
          association: record.id, process: record.process, path: record.path,
          object: objects[record.object]?.definition.name ?? "",
          application: applicationNames[record.application] ?? "",
          channels: associationOwners[record.id]?.channels ?? []))
    }
    var targets = recallTargets(dropped)
    var recallItems = dropped.indices.filter { dropped[$0].path == .handover || dropped[$0].path == .direct }
    for target in recallTargets(formerly: { selected.names($0, objects[$0.object]?.definition.name ?? "") }) {
      recallItems.append(items.count)
      targets.append(target)
      items.append(
        PendingRevoke.Item(
          association: target.association, process: target.holder, path: target.path,
          object: target.definition.name, application: "", channels: []))
    }
    let endedGrants = authority.add(selected.standing)
    let stored = storeRevokes()
    var rings = Dictionary(
      uniqueKeysWithValues: dropped.indices.filter { dropped[$0].path == .ring }.map { index in
        (index, ringUses.values.filter { $0.association == dropped[index].id })
      })
    // Half of the time is for what is in a ring, should the ring itself not be emptied by then.
    ended(dropped, cause: .revoke, reason: .revoked, by: caller, patience: UInt64(order.timeout) * 500_000)
    for use in ringLeftovers(named: { selected.names($0, objects[$0.object]?.definition.name ?? "") }) {
      rings[items.count] = [use]
      items.append(
        PendingRevoke.Item(
          association: use.association ?? AssociationID(rawValue: 0),
          process: use.holder ?? ProcessResource(tgid: 0, start: 0),
          path: .ring, object: objects[use.object]?.definition.name ?? "", application: use.application ?? "",
          channels: []))
    }
    runtimeGrantsEnded(endedGrants, cause: .revoke, by: caller)
    var ordered = record(.privileged)
    ordered.describe(caller.subject)
    ordered.object = order.object.isEmpty ? nil : ByteString(order.object)
    ordered.application = order.application.isEmpty ? nil : ByteString(order.application)
    ordered.message = ByteString("revoke: \(dropped.count) associations")
    _ = journal.submit(ordered, durability: .none)
    let deadline = Clock.boottime() + UInt64(order.timeout) * 1_000_000
    var pending = PendingRevoke(
      connection: connection.id, request: id, deadline: deadline, items: items, stored: stored)
    pending.recall = startRecall(targets, deadline: deadline)
    pending.recallItems = recallItems
    pending.rings = rings
    pendingRevokes.append(pending)
    settleRevokes()
    armTimer()
  }

  private struct Selected {
    var selectors: [AssociationSelector]
    var standing: StandingRevoke

    /// What the same order selects a moment later, too.
    mutating func add(_ later: Selected) {
      selectors += later.selectors
      let known = Set(standing.processes ?? [])
      standing.processes? += (later.standing.processes ?? []).filter { !known.contains($0) }
    }

    /// Whether it is about somebody who holds an object without an association.
    func names(_ former: FormerHolder, _ object: String) -> Bool {
      (standing.object == nil || standing.object == object)
        && (standing.application == nil || standing.application == former.application)
        && (standing.processes.map {
          $0.contains { $0.tgid == former.process.tgid && $0.start == former.process.start }
        }
          ?? true)
    }
  }

  /// Ends what is selected, and what is named gets no more.
  private func drop(_ selected: Selected) -> [AssociationRecord] {
    for process in selected.standing.processes ?? [] { tree.revoked(process) }
    let dropped = selected.selectors.flatMap { entity.drop($0, as: .revoked) }
    return dropped + bar(selected.standing.processes ?? [], by: selected.standing)
  }

  /// nil: an object, application or association is named that does not exist, so nothing matches.
  private func select(_ order: Revoke) -> Selected? {
    var object: ObjectID?
    var application: ApplicationID?
    if !order.object.isEmpty {
      guard let named = objectIDs[order.object] else { return nil }
      object = named
    }
    if !order.application.isEmpty {
      guard let named = applicationIDs[order.application] else { return nil }
      application = named
    }
    var standing = StandingRevoke(
      id: nextRevoke, object: order.object.isEmpty ? nil : order.object,
      application: order.application.isEmpty ? nil : order.application)
    nextRevoke += 1
    var processes: [ProcessResource]?
    if order.pid != 0 { processes = descendants(of: Int32(bitPattern: order.pid)) }
    if let association = order.association {
      guard let owner = associationOwners[association] else { return nil }
      if let object, object != owner.object { return nil }
      if let application, application != owner.application { return nil }
      object = owner.object
      standing.object = objects[owner.object]?.definition.name
      let below = descendants(of: Int32(bitPattern: owner.process.tgid))
      processes = processes.map { named in below.filter { named.contains($0) } } ?? below
    }
    standing.processes = processes
    let selectors =
      processes.map { list in
        list.map { AssociationSelector(object: object, process: $0, application: application) }
      } ?? [AssociationSelector(object: object, application: application)]
    return Selected(selectors: selectors, standing: standing)
  }

  /// `pid` and everything that is known to descend from it, under the identities that they are registered with.
  func descendants(of pid: Int32) -> [ProcessResource] {
    var found: [ProcessResource] = []
    for number in tree.descendants(of: pid) {
      if let entry = processes[number] {
        found.append(entry.resource)
      } else if let start = try? ProcessPin.startTime(of: number) {
        found.append(ProcessResource(tgid: UInt32(number), start: start))
      }
    }
    // Without fork events: who holds something and has `pid` among its parents.
    for entry in processes.values where entry.pid != pid && !found.contains(entry.resource) {
      if ProcessPin.parents(of: entry.pid).contains(where: { $0.pid == pid }) { found.append(entry.resource) }
    }
    return found
  }

  /// Answers revokes whose operations have all ended, or whose time is up.
  func settleRevokes() {
    guard !pendingRevokes.isEmpty else { return }
    let now = Clock.boottime()
    var waiting: [PendingRevoke] = []
    for var revoke in pendingRevokes {
      let running = revoke.items.map { item in
        jobs.values.count { item.channels.contains($0.channel) && $0.association == item.association }
      }
      let isRunning = running.contains(where: { $0 > 0 }) || revoke.isUnderWay
      revoke.isOverdue = now >= revoke.deadline
      switch revokeStore.outcome(of: revoke.stored) {
      case _ where isRunning && !revoke.isOverdue: waiting.append(revoke)
      case .waiting where now < revoke.deadline &+ PendingRevoke.diskPatience: waiting.append(revoke)
      case .waiting:
        let late = SystemError(errno: ErrorCode.timedOut, operation: "write", path: RevokeStore.name)
        reportUnstored(revoke, running: running, "may not know of it", late)
      case .failed(let error): reportUnstored(revoke, running: running, "does not know of it", error)
      case .stored: report(revoke, running: running)
      }
    }
    pendingRevokes = waiting
  }

  private func report(_ revoke: PendingRevoke, running: [Int]) {
    guard let connection = connections[revoke.connection] else { return }
    var page = Page<RevocationRow>()
    for (index, item) in revoke.items.enumerated() {
      let row = RevocationRow(
        association: item.association, object: item.object, application: item.application,
        pid: item.process.tgid, path: item.path,
        outcome: revoke.outcome(of: index, running: running[index]))
      if (try? page.append(row)) != true {
        page.next = UInt64(index)
        answer(connection, revoke.request, .revocations(page))
        page = Page<RevocationRow>()
        _ = try? page.append(row)
      }
    }
    answer(connection, revoke.request, .revocations(page))
  }

  /// It holds as long as this broker lives, which is less than was ordered.
  private func reportUnstored(_ revoke: PendingRevoke, running: [Int], _ consequence: String, _ error: SystemError) {
    guard let connection = connections[revoke.connection] else { return }
    let recalled = revoke.items.indices.count { revoke.outcome(of: $0, running: running[$0]) == .recalled }
    let count = "\(recalled) of \(revoke.items.count)"
    let text = "\(count) recalled, but a broker after this one \(consequence): \(error)"
    answer(connection, revoke.request, .failed(Failure(errno: error.errno, text: text)))
  }

  /// Adds operations for new associations, and lifts revokes that stand in their way.
  func grant(_ order: GrantOrder, id: UInt64, by caller: Caller, on connection: ControlConnection) {
    let now = Clock.boottime()
    let (span, overflow) = order.expires.multipliedReportingOverflow(by: 1_000_000_000)
    let grant = RuntimeGrant(
      id: nextRuntimeGrant, key: GrantKey(application: order.application, object: order.object),
      operations: order.operations, expiry: order.expires == 0 || overflow ? nil : now &+ span)
    if let mistake = policy.check(grant) {
      if mistake == .unknownObject || mistake == .unknownApplication {
        return answer(
          connection, id, .refused(RefusedReply(Refusal(.noSuchObject, message: text(of: mistake, order)))))
      }
      return answer(connection, id, .failed(Failure(errno: ErrorCode.invalid, text: text(of: mistake, order))))
    }
    nextRuntimeGrant += 1
    let revokes = authority.revokes
    authority.add(grant)
    // Not waited for: until it is written, a broker after this one would deny what is granted now.
    if authority.revokes != revokes { storeRevokes() }
    if let object = objectIDs[order.object], let application = applicationIDs[order.application] {
      entity.pardon(AssociationSelector(object: object, application: application))
    }
    var granted = record(.runtimeGrant, of: grant)
    granted.describe(caller.subject)
    _ = journal.submit(granted, durability: .none)
    armTimer()
    answer(connection, id, .done)
  }

  /// Runtime grants have expired or were revoked: the journal says so. (Those that a reload ends, the reload's record says.)
  func runtimeGrantsEnded(_ grants: [RuntimeGrant], cause: DropCause, by caller: Caller? = nil) {
    for grant in grants {
      var ended = record(.runtimeGrantEnd, of: grant)
      ended.cause = cause
      if let caller { ended.describe(caller.subject) }
      _ = journal.submit(ended, durability: .none)
    }
  }

  private func record(_ kind: AuditKind, of grant: RuntimeGrant) -> AuditRecord {
    var record = record(kind)
    record.object = ByteString(grant.key.object)
    record.application = ByteString(grant.key.application)
    record.operations = grant.operations
    record.runtimeGrant = RuntimeGrantTerm(id: grant.id, expiry: grant.expiry)
    return record
  }

  private func text(of mistake: RuntimeGrantMistake, _ order: GrantOrder) -> String {
    switch mistake {
    case .unknownApplication: "the policy has no application \(order.application)"
    case .unknownObject: "the policy has no object \(order.object)"
    case .noOperation: "no operation is named"
    case .operations(let foreign):
      "\(order.object) does not know \(foreign.names.joined(separator: ", "))"
    }
  }

  func answerReload(id: UInt64, by caller: Caller, on connection: ControlConnection) {
    switch reload(by: caller) {
    case .done: answer(connection, id, .done)
    case .unreadable(let failure): answer(connection, id, .failed(Failure(errno: failure.errno, text: "\(failure)")))
    case .mistakes(let mistakes):
      var page = Page<MistakeRow>()
      for (index, mistake) in mistakes.enumerated() {
        let row = MistakeRow(
          file: mistake.place.file, line: UInt32(clamping: mistake.place.line),
          column: UInt32(clamping: mistake.place.column), severity: mistake.severity == .error ? .error : .warning,
          text: mistake.text)
        if (try? page.append(row)) != true {
          page.next = UInt64(index)
          answer(connection, id, .mistakes(page))
          page = Page<MistakeRow>()
          _ = try? page.append(row)
        }
      }
      answer(connection, id, .mistakes(page))
    }
  }
}

import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Supervision

/// An ended holder of the path direct whose descendants live: what it held proves descent until they have ended.
struct DepartedHolder {
  var process: ProcessResource
  var descendants: Set<Int32>
}

extension Broker {
  /// What the kernel's programs have told: refusals go to the journal, associations that they made are taken over.
  func kernelEventsReady() {
    guard let direct else { return }
    // Few at a time, so that a flood of refusals does not keep everybody else from being served; the rest waits in its
    // buffer, and what does not fit there is counted.
    let events = (try? direct.kernel.takeEvents(upTo: 64)) ?? []
    // Forks first: whoever has bound was forked before.
    if !events.isEmpty { observeProcesses() }
    for event in events { note(event, direct) }
    noteLostRefusals(now: Clock.boottime())
    // What was lost with the last of a flood is followed by nothing that would wake us.
    if lossReportDue == .max {
      lossReportDue = nextLossReport
      armTimer()
    }
  }

  private func note(_ event: DirectEvent, _ direct: BPFEntity) {
    // That of the trial at the start.
    guard event.object.rawValue != direct.kernel.capacity.objects - 1 else { return }
    switch event.kind {
    case .refused:
      refusals += 1
      var refused = AuditRecord(
        refusal: Refusal(event.reason ?? .undecidable), time: auditTime(of: event), boot: boot)
      describe(event, direct, in: &refused)
      _ = journal.submit(refused, durability: .none)
    case .used:
      var used = AuditRecord(.use, time: auditTime(of: event), boot: boot)
      describe(event, direct, in: &used)
      _ = journal.submit(used, durability: .none)
    case .bound: takeOverBound()
    case .received:
      var received = AuditRecord(.privileged, time: auditTime(of: event), boot: boot)
      describe(event, direct, in: &received)
      received.operation = nil
      received.message = "a process without an association received the descriptor"
      _ = journal.submit(received, durability: .none)
    case .guarded:
      var guarded = AuditRecord(refusal: Refusal(.refused), time: auditTime(of: event), boot: boot)
      describe(event, direct, in: &guarded)
      guarded.operation = nil
      guarded.object = nil
      guarded.message = ByteString("the broker's own: \(event.door)")
      _ = journal.submit(guarded, durability: .none)
    }
  }

  /// On both clocks as of when it was told.
  private func auditTime(of event: DirectEvent) -> AuditTime {
    let now = Broker.auditTime()
    let age = now.boottime >= event.time ? now.boottime - event.time : 0
    return AuditTime(wall: now.wall - min(age, now.wall), boottime: event.time)
  }

  private func describe(_ event: DirectEvent, _ direct: BPFEntity, in record: inout AuditRecord) {
    let process = direct.process(named: event.process)
    if let entry = processes[Int32(bitPattern: process.tgid)], entry.resource == process {
      record.describe(entry.subject, tid: event.thread, executablePath: ByteString(entry.executablePath))
      record.association = entry.associations[event.object]
      record.application = entry.associations[event.object].flatMap { associationOwners[$0] }
        .map { ByteString($0.authorization.application) }
    } else {
      record.describe(process)
      record.tid = event.thread
      record.executablePath = ByteString(bytes: event.command)
    }
    if event.kind == .refused, let held = record.association.flatMap({ associationOwners[$0] }) {
      describe(held.authorization, refusing: event.opcode, as: event.reason, in: &record)
    }
    record.uid = event.uid
    record.executable = FileIdentity(event.executable) ?? record.executable
    record.path = .direct
    record.operation = event.opcode
    record.operands = event.operands
    record.generation = event.generation
    record.object = objects[event.object].map { ByteString($0.definition.name) }
    if record.message == nil { record.message = ByteString(event.door) }
  }

  /// Refusals that the kernel counted and could not describe become one gap record, with how many of each reason; once a second.
  func noteLostRefusals(now: UInt64) {
    guard let direct, now >= nextLossReport, let counters = try? direct.kernel.counters() else { return }
    nextLossReport = now + 1_000_000_000
    noteLostOthers(counters, direct)
    var lost: [Gap.Count] = []
    for (reason, count) in counters.lostRefusals.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      let missing = count &- direct.kernel.toldLost(reason)
      guard missing > 0 else { continue }
      lost.append(Gap.Count(reason: reason, count: missing))
      refusals += missing
      direct.kernel.noteToldLost(reason, count)
    }
    guard !lost.isEmpty else { return }
    var gap = record(.gap)
    gap.path = .direct
    gap.message = "refused, counted by the kernel and not described"
    journal.submit(gap, lost: lost)
  }

  /// Whatever else the kernel could not tell: associations that hooks have made are found without it, and how much it was is
  /// recorded.
  private func noteLostOthers(_ counters: DirectCounters, _ direct: BPFEntity) {
    let missing = counters.lostOthers &- direct.kernel.toldLostOthers
    guard missing > 0 else { return }
    direct.kernel.toldLostOthers = counters.lostOthers
    var lost = record(.privileged)
    lost.path = .direct
    lost.message = ByteString("told by the kernel and lost: \(missing) uses, inherited associations and others")
    _ = journal.submit(lost, durability: .none)
    takeOverBound()
  }

  /// Makes the broker's own what hooks have made: `on-fork: inherit` and `on-exec: keep`.
  ///
  /// - Parameter isRevoke: whoever is refused is recalled with what is revoked, or by the `recallRefused` at its end; else
  ///   here.
  func takeOverBound(isRevoke: Bool = false) {
    guard let direct else { return }
    for found in direct.kernel.bound() {
      if let process = takeOver(found, direct) { refusedBound[process] = nextRecall }
    }
    if !isRevoke { recallRefused() }
  }

  /// Recalls whom `takeOverBound` has refused, but for what a recall that has begun since then takes back.
  func recallRefused() {
    guard !refusedBound.isEmpty else { return }
    let refused = refusedBound
    refusedBound = [:]
    let targets = recallTargets(formerly: { former in
      guard former.path == .direct, let next = refused[former.process] else { return false }
      return !runningRecalls.contains { number, recall in
        number >= next && recall.targets.contains { $0.object == former.object && $0.holder == former.process }
      }
    })
    _ = startRecall(targets, deadline: Clock.boottime() + 1_000_000_000)
  }

  /// - Returns: the process that was refused.
  private func takeOver(_ found: DirectRecord, _ direct: BPFEntity) -> ProcessResource? {
    let pid = Int32(bitPattern: found.record.process.tgid)
    func isOver(_ process: ProcessResource) -> Bool {
      entity.record(for: found.record.object, process: process)?.state == .live
    }
    guard let asker = pinned(pid),
      asker.subject.process.start == BPFEntity.unknown(found.record.process).start,
      (try? direct.kernel.identity(asker.pin.pidfd)) == found.record.process
    else {
      // It has ended, or is another program by now.
      direct.kernel.forgetBound(found.record.object, found.record.process)
      return nil
    }
    // An exec that was kept has just been seen, and its record has gone on with it.
    if isOver(asker.subject.process) {
      direct.kernel.forgetBound(found.record.object, found.record.process)
      return nil
    }
    if pendingHandOvers[pid]?.contains(where: { $0.object == found.record.object }) == true {
      // What `postern open` has given it is used before its exec has been looked at.
      settleHandOvers(of: pid)
      return nil
    }
    let subject = asker.subject
    let executablePath = asker.executablePath
    guard let object = objects[found.record.object],
      let (holder, forked) = holder(of: object.id, above: pid, asker.pin.pidfd)
    else {
      refuse(found, subject, executablePath, Refusal(.refused, detail: .notDescended), direct)
      return subject.process
    }
    switch join(object, holder, forked: forked, as: inheriting(subject, from: holder)) {
    case .refused(let refusal, _, let nearest, _):
      refuse(found, subject, executablePath, refusal, direct, nearest)
      return subject.process
    case .joined(let association, let authorization):
      let entry = processEntry(subject, executablePath, asker.takePin())
      hold(association, by: entry, authorization, channel: nil, uid: subject.effectiveUID ?? .max)
      object.shared?.users.insert(association.id)
      _ = journalHandover(.revalidate, association, entry, authorization)
      return nil
    }
  }

  /// A child that inherits has what its parent had when it was forked, whoever it has become since (a server's worker
  /// that has given up root): the parent's facts are judged, of the child's process.
  private func inheriting(_ subject: Subject, from holder: ProcessResource) -> Subject {
    guard let parent = processes[Int32(bitPattern: holder.tgid)], parent.resource == holder else { return subject }
    var judged = parent.subject
    judged.process = subject.process
    return judged
  }

  private func refuse(
    _ found: DirectRecord, _ subject: Subject, _ executablePath: String, _ refusal: Refusal, _ direct: BPFEntity,
    _ nearest: NearestGrant? = nil
  ) {
    direct.refuse(bound: found, of: subject.process)
    // What it has begun had passed: it has to leave the call that it may wait in.
    noteFormerHolder(
      found.record.object, applicationNames[found.record.application] ?? "", subject.process, path: .direct,
      mayBeMapped: found.options.contains(.mmap))
    var refused = refusalRecord(
      refusal, object: objects[found.record.object]?.definition.name ?? "",
      cause: "what was inherited is taken back", nearest: nearest, path: .direct)
    refused.describe(subject, executablePath: ByteString(executablePath))
    _ = journal.submit(refused, durability: .none)
  }

  // MARK: Evidence

  /// A holder of the path direct or ring has ended: whether what it held must go on proving descent.
  func keepsEvidence(of entry: ProcessEntry) -> Bool {
    let held = entry.associations.values.compactMap { associationOwners[$0]?.authorization.path }
    guard held.contains(.direct) || held.contains(.ring) else { return false }
    let descendants = Set(tree.descendants(of: entry.pid)).subtracting([entry.pid])
    guard !descendants.isEmpty else { return false }
    departedHolders.append(DepartedHolder(process: entry.resource, descendants: descendants))
    return true
  }

  func noteDescent(from parent: Int32, to child: Int32) {
    for index in departedHolders.indices where departedHolders[index].descendants.contains(parent) {
      departedHolders[index].descendants.insert(child)
    }
  }

  /// A process has ended, and the tree still knows its children. Who was refused what it had inherited is nobody's entry,
  /// and would keep its place in the kernel's maps.
  func leaveTree(_ pid: Int32) {
    direct?.forgetTombstones(of: UInt32(bitPattern: pid), hasDescendants: tree.descendants(of: pid).count > 1)
    tree.exited(pid)
    revokedLines[pid] = nil
    forgetHolder(pid)
    noteEnd(of: pid)
  }

  /// With the last descendant goes what an ended holder's records proved; sockets it may have had open are closed.
  private func noteEnd(of pid: Int32) {
    for index in departedHolders.indices { departedHolders[index].descendants.remove(pid) }
    for departed in departedHolders where departed.descendants.isEmpty {
      _ = entity.exit(departed.process, keepEvidence: false)
    }
    departedHolders.removeAll { $0.descendants.isEmpty }
    for id in lingeringSockets.removeValue(forKey: pid) ?? [] {
      if let session = sessions[id] { closeIfUnused(session) }
    }
  }

  /// Whether somebody has it for its exec.
  func isPromised(_ session: Session) -> Bool {
    pendingHandOvers.values.joined().contains { $0.session == session.id }
  }

  /// Whether the session's socket may be lent: nobody uses it on the mediated path, where the broker itself waits on it.
  func mayBeDirect(_ session: Session) -> Bool {
    session.isTagged || !(session.object is SocketObject) || !channels.values.contains { $0.session === session }
  }

  /// Whether somebody may still have the session's socket open, so that it cannot be bound anew.
  func lingers(_ session: Session) -> Bool { lingeringSockets.values.contains { $0.contains(session.id) } }
}

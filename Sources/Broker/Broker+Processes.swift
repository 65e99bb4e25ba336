import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Wire

extension Broker {
  /// Takes note of every process that has ended, forked or changed its image up to now.
  ///
  /// Called after each receive and before its verdict: the kernel queues a fork before the child can send, an exec
  /// before the new program can, and a pidfd is readable once its process has ended.
  ///
  /// - Returns: false where that could not be looked at.
  @discardableResult func observeProcesses() -> Bool {
    while true {
      guard (try? witness.wait(into: witnessed, timeoutMilliseconds: 0)) != nil else { return false }
      for index in 0..<witnessed.count {
        let token = witnessed[index].token
        if token == Broker.eventsToken { drainProcessEvents() } else { processEnded(Int32(truncatingIfNeeded: token)) }
      }
      if witnessed.count < 64 { return true }
    }
  }

  private func drainProcessEvents() {
    var isLineLonger = false
    while let event = processEvents?.next() {
      switch event {
      case .fork(let parent, let child):
        lingering.remove(child)
        tree.forked(parent: parent, child: child)
        if noteRevokedLine(child) {
          isLineLonger = true
          if let process = revokedLines[child] { barNamed(process) }
        }
        noteDescent(from: parent, to: child)
        inheritHandedOver(from: parent, to: child)
      case .exec(let pid):
        tree.execed(pid)
        if let entry = processes[pid] { execed(entry) }
        settleHandOvers(of: pid)
      case .exit(let pid):
        // Whoever is pinned ends when its pidfd says so: its leader may end before its other threads.
        guard processes[pid] == nil, tree.knows(pid) else { break }
        if ProcessPin.hasOtherThreads(pid) {
          lingering.insert(pid)
        } else {
          leaveTree(pid)
        }
      case .lost:
        tree.lost()
        for entry in Array(processes.values) where entry.pin.state() == .execed { execed(entry) }
      }
    }
    // A few each time: threads that outlive their leader may do so for long.
    for pid in Array(lingering.prefix(16)) where !ProcessPin.hasOtherThreads(pid) {
      lingering.remove(pid)
      guard processes[pid] == nil else { continue }
      leaveTree(pid)
    }
    forgetEndedLines()
    if isLineLonger { storeRevokes() }
  }

  /// A revoke of a process stands until the last of its descendants has ended.
  private func forgetEndedLines() {
    for process in tree.takeEndedLines() { authority.exited(process) }
  }

  /// Pins a sender under the identity that it is registered with, if it is.
  func pinned(_ pid: Int32) -> PinnedAsker? {
    guard var asker = PinnedAsker(pid) else { return nil }
    guard let entry = processes[pid] else { return asker }
    switch entry.pin.state() {
    case .ended: processEnded(pid)
    case .execed:
      execed(entry)
      asker.subject.process = entry.resource
    case .current: asker.subject.process = entry.resource
    }
    return asker
  }

  /// The entry of a process that has just been pinned and judged, made or found.
  func processEntry(_ subject: Subject, _ executablePath: String, _ pin: consuming ProcessPin) -> ProcessEntry {
    let pid = pin.pid
    if let entry = processes[pid], entry.resource == subject.process { return entry }
    if processes[pid] != nil { processEnded(pid) }
    // The pinned process was current a moment ago; if it has ended since, its pidfd says so at once.
    let entry = ProcessEntry(pid: pid, pin: pin, subject: subject, executablePath: executablePath)
    processes[pid] = entry
    watch(entry)
    return entry
  }

  private func watch(_ entry: ProcessEntry) {
    let token = UInt64(UInt32(bitPattern: entry.pid))
    entry.isWitnessed = (try? witness.add(entry.pin.pidfd.rawValue, .readable, token: token)) != nil
  }

  /// The process has a new program image: a stranger, except where a grant keeps its association and the selector still
  /// matches what it runs now.
  func execed(_ entry: ProcessEntry) {
    let old = entry.resource
    var new = old
    new.execEpoch += 1
    guard let renewed = try? ProcessPin(pid: entry.pid, pidfd: entry.pin.pidfd.duplicate()), renewed.start == old.start
    else { return processEnded(entry.pid) }
    let execed: Execed
    if let direct {
      execed = direct.expecting(new, renewed.pidfd) { exec(entry, as: new) }
    } else {
      execed = exec(entry, as: new)
    }
    try? witness.remove(entry.pin.pidfd.rawValue)
    entry.pin = renewed
    watch(entry)
    entry.resource = new
    entry.subject = execed.subject
    entry.executablePath = execed.executablePath
    ended(execed.dropped, cause: .exec, reason: .notAssociated)
    for id in execed.kept {
      associationOwners[id]?.process = new
      guard let owner = associationOwners[id] else { continue }
      tree.associated(new, object: owner.object)
      for channel in owner.channels {
        channels[channel]?.holder = new
        channels[channel]?.lineageHolder = new
      }
    }
  }

  private struct Execed {
    var subject: Subject
    var executablePath: String
    var kept: [AssociationID]
    var dropped: [AssociationRecord]
  }

  private func exec(_ entry: ProcessEntry, as new: ProcessResource) -> Execed {
    let facts = ProcessFacts(of: entry.pid)
    let subject = Broker.subject(facts, process: new)
    var kept: [AssociationID] = []
    for id in entry.associations.values {
      guard let owner = associationOwners[id], owner.authorization.onExec == .keep else { continue }
      if keeps(owner.authorization, subject) { kept.append(id) }
    }
    let dropped = entity.exec(
      entry.resource, newEpoch: new.execEpoch, keep: kept,
      keepEvidence: !entry.channels.isEmpty)
    return Execed(subject: subject, executablePath: facts.executablePath ?? "", kept: kept, dropped: dropped)
  }

  /// `on-exec: keep`: whether what runs now still matches.
  func keeps(_ authorization: Authorization, _ subject: Subject) -> Bool {
    let asked = OpenRequest(
      subject: subject, object: authorization.object, operations: authorization.operations,
      ancestors: ancestors(of: Int32(bitPattern: subject.process.tgid)))
    let judgement = policy.judge(
      revalidation: asked, application: authorization.application, authority: authority,
      facts: machineFacts(accepting: PathSet(authorization.path).intersection(Open.choices)))
    guard case .authorized = judgement else { return false }
    return true
  }

  /// The process has ended; what it held ends, and what its children may need as proof of descent stays until the last
  /// copy of its channels is closed.
  func processEnded(_ pid: Int32) {
    guard let entry = processes.removeValue(forKey: pid) else { return }
    try? witness.remove(entry.pin.pidfd.rawValue)
    let hasChannels = entry.channels.contains { channels[$0] != nil }
    let dropped = entity.exit(entry.resource, keepEvidence: hasChannels || keepsEvidence(of: entry))
    leaveTree(pid)
    forgetEndedLines()
    ended(dropped, cause: .exit, reason: .notAssociated)
  }

  /// A holder that has ended is forgotten with the last channel that names it.
  func forgetEvidence(of holder: ProcessResource) {
    let pid = Int32(bitPattern: holder.tgid)
    if let entry = processes[pid], entry.resource.start == holder.start, entry.resource.execEpoch == holder.execEpoch {
      return
    }
    guard !channels.values.contains(where: { $0.lineageHolder == holder }),
      !departedHolders.contains(where: { $0.process == holder })
    else { return }
    _ = entity.exit(holder, keepEvidence: false)
  }

  /// Processes that an asker is known to descend from, for standing revokes; empty where none names a process.
  func ancestors(of pid: Int32) -> [ProcessResource] {
    guard authority.revokes.contains(where: { $0.processes != nil }) else { return [] }
    // The kernel's events know of ancestors that have ended; proc(5) of those that were there before a revoke.
    return tree.revokedAncestors(of: pid)
      + ProcessPin.parents(of: pid).map { ProcessResource(tgid: UInt32($0.pid), start: $0.start) }
  }

  /// Whom an asker descends from for `object`: by the kernel's fork events, or, without them, by the channel presented.
  func lineage(of pid: Int32, object: ObjectID, presented: ProcessResource)
    -> (kind: Lineage, ancestors: [ProcessResource])
  {
    guard processEvents != nil else { return (.descended, [presented]) }
    guard let holder = tree.holder(aboveOf: pid, object: object) else { return (.none, [presented]) }
    return (.descended, [holder])
  }

  /// Associations have ended: whatever waits for them is refused, their processes are told, the journal says why.
  ///
  /// - Parameter patience: nanoseconds for emptying rings, until what is in them is taken back instead.
  func ended(
    _ records: [AssociationRecord], cause: DropCause, reason: Reason, by caller: Caller? = nil,
    patience: UInt64 = Broker.ringPatience
  ) {
    handedOverEnded(records, cause: cause)
    for record in records where record.path == .ring { emptyRings(of: record, cause: cause, patience: patience) }
    for record in records {
      let owner = associationOwners.removeValue(forKey: record.id)
      let pid = Int32(bitPattern: record.process.tgid)
      processes[pid]?.associations[record.object] = nil
      if cause != .exit { tree.dropped(pid, object: record.object) }
      var dropped = self.record(cause == .revoke ? .revoke : .drop)
      dropped.describe(record.process)
      dropped.uid = owner?.uid
      dropped.object = objects[record.object].map { ByteString($0.definition.name) }
      dropped.application = applicationNames[record.application].map { ByteString($0) }
      dropped.association = record.id
      dropped.operations = record.operations
      dropped.path = record.path
      dropped.generation = record.generation
      dropped.cause = cause
      if let caller { dropped.message = ByteString("by uid \(caller.uid), pid \(caller.pid)") }
      _ = journal.submit(dropped, durability: .none)
      for id in owner?.channels ?? [] {
        guard let channel = channels[id] else { continue }
        if channel.association == record.id { channel.association = nil }
        channel.session.users.remove(record.id)
        interpreter.abandon(channel, process: record.process, reason: reason, observer: self)
        closeIfUnused(channel.session)
      }
      for session in sessions.values where session.users.remove(record.id) != nil {
        // Whoever has the socket open keeps its address taken: with it the next open finds it again.
        if record.path == .direct, session.object is SocketObject, cause != .exit, cause != .closed {
          lingeringSockets[pid, default: []].insert(session.id)
        }
        closeIfUnused(session)
      }
    }
  }

  /// Sets the timer to the next thing that ends by itself.
  func armTimer() {
    var next = nextExpiry ?? .max
    for grant in authority.grants { next = min(next, grant.expiry ?? .max) }
    for revoke in pendingRevokes { next = min(next, revoke.nextLook) }
    next = min(next, agent?.nextDeadline ?? .max)
    next = min(next, nextHandOverCheck)
    next = min(next, lossReportDue)
    for leavers in ringLeavers.values { next = min(next, leavers.nextExpiry) }
    try? timer.arm(at: next == .max ? 0 : max(next, 1))
  }

  func timerFired() {
    timer.drain()
    let now = Clock.boottime()
    let (dropped, next) = entity.expire(now: now)
    ended(dropped, cause: .expiry, reason: .expired)
    runtimeGrantsEnded(authority.expire(at: now), cause: .expiry)
    nextExpiry = next
    takeBackFromLeavers { $0.expiry <= now }
    settleRevokes()
    expireRuntimes(at: now)
    settleHandOvers(now: now)
    if now >= lossReportDue {
      lossReportDue = .max
      noteLostRefusals(now: now)
    }
    armTimer()
  }
}

import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Supervision
import Wire

/// A supervised call that waits for the record of its association, or of another call's.
struct SupervisedWait {
  var supervisor: UInt64
  var notification: UInt64
}

extension Broker {
  /// Takes a seccomp listener, whoever has it: each notification is judged by the facts of the process that issued it,
  /// which the kernel names, so that a listener gives nobody anything.
  func supervise(
    _ calls: NotifiedCalls, _ listener: consuming PeerDescriptor, id: UInt64, from sender: SenderCredentials,
    on connection: ControlConnection
  ) {
    func refuse(_ refusal: Refusal) { answer(connection, id, .refused(RefusedReply(refusal))) }
    let uid = connection.peerUID
    // Each is a thread and some descriptors.
    guard supervisors.values.count(where: { $0.ownerUID == uid }) < Int(policy.limits.connections) || uid == 0 else {
      return refuse(Refusal(.quota, message: "too many supervised programs of this user"))
    }
    do throws(SystemError) {
      let supervisor = try startSupervisor(listener, uid: uid)
      keeperConnections[supervisor.id] = connection.id
      var taken = record(.intent)
      taken.pid = UInt32(bitPattern: sender.pid)
      taken.uid = sender.uid
      taken.path = .handover
      taken.message = ByteString("supervises a filter that notifies \(calls.names.joined(separator: ", "))")
      _ = journal.submit(taken, durability: .none)
      answer(connection, id, .supervised, descriptor: try supervisor.ledgerCopy())
    } catch {
      answer(connection, id, .failed(Failure(errno: error.errno, text: "the listener cannot be used: \(error)")))
    }
  }

  /// - Parameter listener: a stranger's descriptor: it is looked at before it is used as a listener.
  func startSupervisor(_ listener: consuming PeerDescriptor, uid: UInt32) throws(SystemError) -> Supervisor {
    guard NotificationListener.isListener(listener.rawValue) else {
      throw SystemError(errno: ErrorCode.invalid, operation: "seccomp listener")
    }
    let own = try NotificationListener(try listener.duplicate())
    publishInterceptTable()
    let supervisor = try Supervisor(
      id: nextSupervisor, ownerUID: uid, listener: own, entity: entity, direct: direct, queue: supervision,
      table: interceptBoard)
    nextSupervisor += 1
    try supervisor.start()
    supervisors[supervisor.id] = supervisor
    return supervisor
  }

  /// What intercepted calls could be about, for the threads that sort them out.
  func publishInterceptTable() {
    let host = try? SocketDescription.networkCookie(namespacePath: nil)
    let hostIdentity = FileIdentity(ProcessFacts.identity("/proc/self/ns/net"))
    let entries = policy.objects.compactMap { definition -> InterceptTable.Entry? in
      guard let id = objectIDs[definition.name] else { return nil }
      guard case .socket(let socket) = definition.specification else {
        return InterceptTable.Entry(id: id, definition: definition)
      }
      switch socket.network {
      case .host:
        return InterceptTable.Entry(id: id, definition: definition, network: host, networkIdentity: hostIdentity)
      case .path(let path):
        return InterceptTable.Entry(
          id: id, definition: definition, network: try? SocketDescription.networkCookie(namespacePath: path),
          networkIdentity: FileIdentity(ProcessFacts.identity(path)))
      }
    }
    let text = (try? ProcFile.read("/proc/sys/net/ipv4/ip_unprivileged_port_start", limit: 16)) ?? []
    let start = UInt16(String(decoding: text, as: UTF8.self).trimmed)
    interceptBoard.publish(InterceptTable(entries: entries, privilegedPorts: start ?? 1024))
  }

  /// What the supervisors' threads have said.
  func supervisorsReady() {
    for message in supervision.take() {
      switch message {
      case .judge(let call): judge(call)
      case .refused(let call, let reason, let object, let why, let facts, let start):
        let process = ProcessResource(tgid: UInt32(bitPattern: call.process), start: start)
        recordRefusal(
          of: call, Refusal(reason), object: object, cause: why, subject: Broker.subject(facts, process: process),
          executablePath: facts.executablePath ?? "")
      case .performed(let call, let object, let process): recordUse(of: call, object, process)
      case .recalled(let token, let outcomes): recalled(token, outcomes)
      case .recalledLate(let target, let outcome): recalled(target, outcome)
      case .ringTakenBack(let ring, let error): ringTakenBack(ring, error)
      case .found(let holders): found(holders)
      case .ended(let id): ended(supervisor: id)
      }
    }
  }

  private func ended(supervisor id: UInt64) {
    let connection = keeperConnections.removeValue(forKey: id)
    guard let supervisor = supervisors.removeValue(forKey: id) else { return }
    supervisor.join()
    // Its thread gave up while programs use the filter: a keeper that sees its connection end answers for them, and offers
    // the listener again.
    if !supervisor.hasListenerEnded, let connection, let keeper = connections[connection] { close(keeper) }
  }

  /// Judges a call as an open by the process that issued it, through the door `run`.
  private func judge(_ call: SupervisedCall) {
    guard let supervisor = supervisors[call.supervisor] else { return }
    observeProcesses()
    // After it was pinned and looked at: a call that still waits was issued by the process that has its number now.
    guard let asker = pinned(call.process), supervisor.isWaiting(call.id), asker.pin.state() == .current else {
      recordRefusal(
        of: call, Refusal(.undecidable), object: nil, cause: "the program could not be looked at", subject: nil)
      return supervisor.resume(call.id, .refused)
    }
    var refused: (refusal: JudgedRefusal, object: ObjectID, asked: OperationSet)?
    for candidate in call.candidates {
      guard let object = objects[candidate.object] else { continue }
      if let held = entity.record(for: object.id, process: asker.subject.process), held.state == .live {
        guard held.path == .handover || held.path == .direct else { continue }
        return resume(call, held)
      }
      switch policy.judge(
        open: openRequest(candidate, object, asker.subject), authority: authority, facts: handoverFacts())
      {
      case .authorized(let authorization):
        return associate(call, object, authorization, asker, supervisor)
      case .refused(let refusal):
        // That it may not know of the object says the least.
        if refused == nil || refused?.refusal.told.reason == .noSuchObject {
          refused = (refusal, object.id, candidate.operations)
        }
      }
    }
    if let (refusal, object, asked) = refused {
      recordRefusal(
        of: call, refusal.told, object: object, cause: refusal.cause.text, nearest: refusal.nearest,
        subject: asker.subject, executablePath: asker.executablePath,
        judged: Circumstances(
          .run, asked, subject: asker.subject, facts: handoverFacts(), refusal: refusal))
    } else {
      recordRefusal(
        of: call, Refusal(.noSuchObject), object: nil, cause: "no object", subject: asker.subject,
        executablePath: asker.executablePath)
    }
    supervisor.resume(call.id, .refused)
  }

  private func openRequest(
    _ candidate: SupervisedCall.Candidate, _ object: BrokeredObject, _ subject: Subject
  ) -> OpenRequest {
    let pid = Int32(bitPattern: subject.process.tgid)
    return OpenRequest(
      subject: subject, object: object.definition.name, operations: candidate.operations, door: .run,
      descendsFromHolder: tree.holder(aboveOf: pid, object: object.id) != nil, ancestors: ancestors(of: pid))
  }

  /// The machine as a program sees it that holds the objects' own descriptors.
  func handoverFacts() -> MachineFacts {
    var facts = machineFacts(accepting: .direct)
    facts.availablePaths.insert(.handover)
    return facts
  }

  /// Lets a call go on with an association that is there, once its record is on disk.
  private func resume(_ call: SupervisedCall, _ association: AssociationRecord) {
    guard unrecorded.contains(association.id) else {
      supervisors[call.supervisor]?.resume(call.id, verdict(association.id))
      return
    }
    supervisedWaits[association.id, default: []].append(
      SupervisedWait(supervisor: call.supervisor, notification: call.id))
  }

  /// The record of an association is on disk, or cannot be written: its calls go on.
  func resumeSupervised(_ association: AssociationID, _ verdict: SupervisedVerdict) {
    for wait in supervisedWaits.removeValue(forKey: association) ?? [] {
      supervisors[wait.supervisor]?.resume(wait.notification, verdict)
    }
  }

  private func associate(
    _ call: SupervisedCall, _ object: BrokeredObject, _ authorization: Authorization, _ asker: consuming PinnedAsker,
    _ supervisor: Supervisor
  ) {
    let subject = asker.subject
    let executablePath = asker.executablePath
    switch hold(object, authorization, for: subject) {
    case .refused(let refusal, let cause):
      recordRefusal(
        of: call, refusal, object: object.id, cause: cause, subject: subject, executablePath: executablePath)
      supervisor.resume(call.id, .refused)
    case .held(let association):
      // Its name in the kernel was read by number: it is the name of what was judged if that still runs now.
      guard
        association.path != .direct
          || asker.pin.state() == .current && noteHolder(asker.pin.pidfd, association, authorization)
      else {
        undo(association)
        recordRefusal(
          of: call, Refusal(.undecidable), object: object.id, cause: "the program could not be followed",
          subject: subject, executablePath: executablePath)
        return supervisor.resume(call.id, .refused)
      }
      let entry = processEntry(subject, executablePath, asker.takePin())
      hold(association, by: entry, authorization, channel: nil, uid: subject.effectiveUID ?? .max)
      guard journalHandover(.grant, association, entry, authorization) else {
        recordRefusal(
          of: call, Refusal(.undecidable, detail: .auditFull), object: object.id, cause: "the audit journal is full",
          subject: subject, executablePath: executablePath)
        return supervisor.resume(call.id, .refused)
      }
      supervisedWaits[association.id, default: []].append(
        SupervisedWait(supervisor: supervisor.id, notification: call.id))
    }
  }

  /// Journals an association on the path handover; nothing is handed over before that is on disk. false: withdrawn.
  func journalHandover(
    _ kind: AuditKind, _ association: AssociationRecord, _ entry: ProcessEntry, _ authorization: Authorization
  ) -> Bool {
    let token = nextGrantToken
    guard submit(kind, association, entry, authorization) else {
      withdraw(.handedOver(association.id))
      return false
    }
    unrecorded.insert(association.id)
    pendingGrants[token] = PendingGrant(connection: 0, request: 0, answer: .handedOver(association.id))
    return true
  }

  enum Holding {
    case held(AssociationRecord)
    case refused(Refusal, cause: String)
  }

  /// Makes an association on the path direct or handover in the entity.
  func hold(_ object: BrokeredObject, _ authorization: Authorization, for subject: Subject) -> Holding {
    func refused(_ reason: Reason, _ cause: String, _ detail: RefusalDetail = .none) -> Holding {
      .refused(Refusal(reason, detail: detail, message: authorization.message), cause: cause)
    }
    let uid = subject.effectiveUID ?? .max
    guard associationOwners.values.count(where: { $0.uid == uid }) < Int(policy.limits.objects) || uid == 0 else {
      return refused(.quota, "too many objects of this user")
    }
    var set = authorization.limits
    let device: ByteRange?
    do { device = try handedOverDevice(object) } catch {
      object.lastFailure = error.description
      return refused(.refused, "\(object.definition.name): \(error)", .objectUnavailable)
    }
    if let device, let range = set.range, range != device {
      return refused(.refused, Self.rangeObstacle, .pathUnavailable)
    }
    if authorization.path == .direct {
      return associateDirect(object, authorization, subject, range: device, isLent: object.shared?.isTagged == true)
    }
    let limits: LimitsID
    do {
      if let device { set = try set.within(device) }
      limits = try entity.define(limits: set)
    } catch { return refused(.undecidable, "the limits cannot be held: \(error)") }
    defer { entity.release(limits) }
    let now = Clock.boottime()
    let wanted = AssociationRequest(
      process: subject.process, object: object.id, application: applicationID(authorization.application),
      generation: object.generation, requested: authorization.operations, granted: authorization.operations,
      limits: limits, processes: authorization.processes, path: .handover, onFork: authorization.onFork,
      onExec: authorization.onExec, expiry: authorization.deadline(madeAt: now) ?? 0, message: authorization.message)
    do { return .held(try entity.associate(wanted, now: now)) } catch {
      return .refused(error, cause: "the entity refused")
    }
  }

  static let rangeObstacle =
    "the grant is for a range; a descriptor of the whole disk cannot keep to it, only mediated can"

  /// Tells the entity which device it is that is handed over, for `exclusive`, and gives a disk's whole extent.
  private func handedOverDevice(_ object: BrokeredObject) throws(SystemError) -> ByteRange? {
    switch object.definition.specification {
    case .socket: return nil
    case .bus:
      guard let path = object.definition.path, let device = DeviceIdentity(path: path) else {
        throw SystemError(errno: ErrorCode.noSuchEntry, operation: "open", path: object.definition.path ?? "")
      }
      try learn(
        Footprint(device: FileIdentity(device: device.device, inode: device.inode), range: nil), of: object)
      return nil
    case .disk(let disk):
      let opened = try DiskObject.open(disk, own: opener.own)
      if let footprint = opened.footprint { try learn(footprint, of: object) }
      guard opened.isWhole else {
        throw SystemError(errno: ErrorCode.notSupported, operation: Self.rangeObstacle, path: disk.path)
      }
      return opened.footprint?.range
    }
  }

  /// What supervised calls are told that wait for this association; one that has ended meanwhile says so at the check.
  func verdict(_ association: AssociationID) -> SupervisedVerdict {
    guard let owner = associationOwners[association] else { return .refused }
    return .associated(
      owner.object, owner.process, recordsUses: owner.authorization.rule.audit != .refusals)
  }

  private func recordUse(of call: SupervisedCall, _ object: ObjectID, _ process: ProcessResource) {
    guard let entry = processes[Int32(bitPattern: process.tgid)], let id = entry.associations[object],
      var owner = associationOwners[id], owner.authorization.rule.audit != .refusals
    else { return }
    if owner.authorization.rule.audit == .firstUse {
      guard !owner.isUsed else { return }
      owner.isUsed = true
      associationOwners[id] = owner
    }
    var used = record(.use)
    used.describe(entry.subject, tid: UInt32(bitPattern: call.thread), executablePath: ByteString(entry.executablePath))
    used.object = ByteString(owner.authorization.object)
    used.application = ByteString(owner.authorization.application)
    used.association = id
    used.operation = call.opcode
    used.operands = call.operands
    used.path = owner.authorization.path
    used.message = ByteString(call.text)
    _ = journal.submit(used, durability: .none)
  }
}

extension Broker {
  /// Records that a call was let through which the kernel refuses without a grant.
  fileprivate func recordRefusal(
    of call: SupervisedCall, _ refusal: Refusal, object: ObjectID?, cause: String, nearest: NearestGrant? = nil,
    subject: Subject?, executablePath: String = "", judged: Circumstances? = nil
  ) {
    guard call.isPrivileged else { return }
    let name = object.flatMap { objects[$0]?.definition.name } ?? ""
    var refused = refusalRecord(
      refusal, object: name, cause: "\(call.text): \(cause)", nearest: nearest,
      path: direct == nil ? .handover : .direct)
    if let subject {
      refused.describe(
        subject, tid: UInt32(bitPattern: call.thread), executablePath: ByteString(executablePath))
    } else {
      refused.pid = UInt32(bitPattern: call.process)
    }
    refused.operation = call.opcode
    refused.operands = call.operands
    refused.circumstances = judged
    _ = journal.submit(refused, durability: .none)
  }
}

extension NotifiedCalls {
  var names: [String] {
    var names: [String] = []
    if contains(.bind) { names.append("bind") }
    if contains(.socket) { names.append("socket") }
    if contains(.open) { names.append("open") }
    return names
  }
}

extension String {
  var trimmed: Substring {
    drop { $0.isWhitespace }.prefix { !$0.isWhitespace }
  }
}

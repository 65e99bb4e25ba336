import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Wire

extension Broker {
  /// The application gets the object's own descriptor; from then on the kernel checks each of its system calls.
  func establishDirect(
    _ session: Session, _ object: BrokeredObject, _ open: Open, _ authorization: Authorization,
    _ pending: ControlConnection.Pending, id: UInt64, on connection: ControlConnection
  ) {
    func refuse(_ refusal: Refusal, _ cause: String) {
      refuseOpen(
        connection, id, refusal, object: open.object, cause: cause, subject: pending.subject,
        executablePath: pending.executablePath, operations: open.operations, path: .direct,
        application: authorization.application,
        judged: Circumstances(
          .open, open.operations, subject: pending.subject, facts: machineFacts(accepting: .direct)))
      closeIfUnused(session)
    }
    let association: AssociationRecord
    let range = session.object.footprint?.range
    let isLent = session.object is SocketObject
    let held = expecting(pending) {
      associateDirect(object, authorization, pending.subject, range: range, isLent: isLent)
    }
    switch held {
    case nil: return refuse(Refusal(.undecidable), "the asker could not be followed")
    case .refused(let refusal, let cause): return refuse(refusal, cause)
    case .held(let made): association = made
    }
    guard pending.state == .current,
      pending.withPIDDescriptor({ noteHolder($0, association, authorization) }) == true
    else {
      undo(association)
      return refuse(Refusal(.undecidable), "the asker could not be followed")
    }
    let given: Descriptor
    do throws(SystemError) { given = try lend(object, session, authorization, association) } catch {
      undo(association)
      return refuse(Refusal(.undecidable), "the object's descriptor cannot be given: \(error)")
    }
    guard let pin = pending.takePin() else { return }
    let entry = processEntry(pending.subject, pending.executablePath, pin)
    hold(association, by: entry, authorization, channel: nil, uid: pending.subject.effectiveUID ?? .max)
    associationOwners[association.id]?.opens += 1
    session.users.insert(association.id)
    remember(
      .grant, association, entry, authorization, connection, id, .openedDirect(association.id), client: given)
  }

  /// What the asker gets in `body` is for the program that was judged, whatever it execs meanwhile; nil: it has already.
  private func expecting<Value>(_ pending: ControlConnection.Pending, _ body: () -> Value) -> Value? {
    guard let direct else { return nil }
    return pending.withPIDDescriptor { pidfd in
      // Named first: if what was judged runs after that, it is its name.
      direct.expecting(pending.subject.process, pidfd) { pending.state == .current ? body() : nil }
    } ?? nil
  }

  /// Makes an association of the path direct in table and kernel.
  ///
  /// - Parameter isLent: the broker has the object's socket open, too.
  func associateDirect(
    _ object: BrokeredObject, _ authorization: Authorization, _ subject: Subject, range: ByteRange?, isLent: Bool
  ) -> Holding {
    func refused(_ reason: Reason, _ cause: String, _ detail: RefusalDetail = .none) -> Holding {
      .refused(Refusal(reason, detail: detail, message: authorization.message), cause: cause)
    }
    if let obstacle = attachHooks(for: object) { return refused(.refused, obstacle, .pathUnavailable) }
    let limits: LimitsID
    do {
      var set = authorization.limits
      if object.definition.kind == .disk, let range {
        set = try set.within(range)
        guard set.range == range else { return refused(.refused, Self.rangeObstacle, .pathUnavailable) }
      }
      limits = try entity.define(limits: set)
    } catch { return refused(.undecidable, "the limits cannot be held: \(error)") }
    defer { entity.release(limits) }
    let now = Clock.boottime()
    noteName(of: authorization)
    do {
      var wanted = request(object, authorization, subject.process, limits: limits, now: now)
      if isLent { wanted.options.insert(.lent) }
      return .held(try entity.associate(wanted, now: now))
    } catch { return .refused(error, cause: "the entity refused") }
  }

  func request(
    _ object: BrokeredObject, _ authorization: Authorization, _ process: ProcessResource, limits: LimitsID, now: UInt64
  ) -> AssociationRequest {
    AssociationRequest(
      process: process, object: object.id, application: applicationID(authorization.application),
      generation: object.generation, requested: authorization.operations, granted: authorization.operations,
      limits: limits, processes: authorization.processes, path: .direct, onFork: authorization.onFork,
      onExec: authorization.onExec, expiry: authorization.deadline(madeAt: now) ?? 0,
      options: options(authorization), message: authorization.message)
  }

  func options(_ authorization: Authorization) -> DirectOptions {
    var options: DirectOptions = []
    if authorization.rule.mmap { options.insert(.mmap) }
    if authorization.rule.recallAccepted { options.insert(.recallsAccepted) }
    if policy.applications.first(where: { $0.name == authorization.application })?.traceable == true {
      options.insert(.traceable)
    }
    switch authorization.rule.audit {
    case .refusals: break
    case .firstUse: options.insert(.firstUse)
    case .all: options.insert(.allUses)
    }
    return options
  }

  /// Attaches the hooks that an object of this kind needs; nil: they stand. Else why not.
  func attachHooks(for object: BrokeredObject) -> String? {
    guard let direct else { return "the path direct is not available" }
    do {
      try direct.kernel.attach(.files)
      if object.definition.kind == .socket { try direct.kernel.attach(.sockets) }
      return nil
    } catch { return "the kernel's hooks cannot be attached: \(DirectObstacle(error).text)" }
  }

  /// From now on its children are known to descend from a holder, and strangers may not trace it. false: it cannot be said.
  func noteHolder(
    _ pidfd: borrowing Descriptor, _ association: AssociationRecord, _ authorization: Authorization
  ) -> Bool {
    guard let direct, let named = direct.kernelName(of: association.process) else { return false }
    let isTraceable = options(authorization).contains(.traceable)
    guard (try? direct.kernel.noteHolder(pidfd, named, traceable: isTraceable)) != nil else { return false }
    // From here on nobody can begin to trace it; who began between the judgement and now is seen.
    return isTraceable || ProcessFacts(of: Int32(bitPattern: association.process.tgid)).tracer == 0
  }

  /// The object's own descriptor, which can do no more than the operations: one of its own for a disk or bus.
  func descriptorToLend(
    of object: BrokeredObject, _ session: Session, _ authorization: Authorization
  ) throws(SystemError) -> Descriptor {
    if let socket = session.object as? SocketObject { return try socket.lend() }
    return try opener.openToGive(object.definition, operations: authorization.operations, range: nil)
  }

  private func lend(
    _ object: BrokeredObject, _ session: Session, _ authorization: Authorization, _ association: AssociationRecord
  ) throws(SystemError) -> Descriptor {
    let given = try descriptorToLend(of: object, session, authorization)
    try tag(given, association, session)
    if let socket = session.object as? SocketObject { try socket.listenLent(authorization.operations) }
    return given
  }

  /// Makes the descriptor a privileged object; a shared socket is one already, and keeps whom it tries first.
  func tag(
    _ descriptor: borrowing Descriptor, _ association: AssociationRecord, _ session: Session
  ) throws(SystemError) {
    guard let direct else { throw SystemError(errno: ErrorCode.notSupported, operation: "tag") }
    if session.isTagged { return }
    try direct.tag(descriptor, association.object, association.process)
    if session.object is SocketObject { session.isTagged = true }
  }

  func deliverDirect(
    _ association: AssociationID, _ grant: PendingGrant, _ client: HeldDescriptor?, to connection: ControlConnection
  ) {
    guard let owner = associationOwners[association], let object = objects[owner.object],
      let record = entity.record(for: owner.object, process: owner.process)
    else { return answer(connection, grant.request, .refused(RefusedReply(Refusal(.revoked)))) }
    answer(
      connection, grant.request,
      .opened(
        Opened(
          association: association, channel: 0, object: object.id, kind: object.definition.kind, path: .direct,
          operations: record.operations, generation: record.generation, expiry: record.expiry,
          rangeLength: object.definition.kind == .disk ? object.footprint?.length ?? 0 : 0,
          maximumPayload: UInt32(Bounds.payload))),
      descriptor: client?.take())
  }

  func deliverDirectRevalidation(
    _ association: AssociationID, _ grant: PendingGrant, to connection: ControlConnection
  ) {
    guard let owner = associationOwners[association],
      let record = entity.record(for: owner.object, process: owner.process)
    else { return answer(connection, grant.request, .refused(RefusedReply(Refusal(.revoked)))) }
    answer(
      connection, grant.request,
      .revalidated(
        Revalidated(
          association: association, operations: record.operations, generation: record.generation,
          expiry: record.expiry)))
  }

  // MARK: The fork protocol

  /// Asks for an association of the asker's own for an object whose descriptor it inherited.
  func revalidateObject(
    _ object: String, id: UInt64, from sender: SenderCredentials, on connection: ControlConnection
  ) {
    guard let asker = pinned(sender.pid) else {
      return refuseOpen(
        connection, id, Refusal(.undecidable), object: object, cause: "the asker could not be looked at",
        sender: sender, path: .direct)
    }
    guard let objectID = objectIDs[object], direct != nil || ringObstacle == nil else {
      return refuseOpen(
        connection, id, Refusal(.noSuchObject), object: object, cause: "no such object on the paths direct and ring",
        subject: asker.subject, executablePath: asker.executablePath, path: .direct)
    }
    challenge(connection, id, .objectRevalidation(objectID), asker)
  }

  func establishRevalidation(
    of objectID: ObjectID, _ pending: ControlConnection.Pending, id: UInt64, on connection: ControlConnection
  ) {
    func refuse(
      _ refusal: Refusal, _ cause: String, _ nearest: NearestGrant? = nil, _ judged: Circumstances? = nil
    ) {
      refuseOpen(
        connection, id, refusal, object: objects[objectID]?.definition.name ?? "", cause: cause, nearest: nearest,
        subject: pending.subject, executablePath: pending.executablePath, path: .direct, judged: judged)
    }
    takeOverBound()
    guard let object = objects[objectID] else { return refuse(Refusal(.noSuchObject), "the object is gone") }
    let pid = Int32(bitPattern: pending.subject.process.tgid)
    guard processEvents != nil else {
      return refuse(Refusal(.undecidable), "without fork events nobody is known to descend from a holder")
    }
    guard let (holder, forked) = pending.withPIDDescriptor({ holder(of: objectID, above: pid, $0) }) ?? nil else {
      return refuse(Refusal(.refused, detail: .notDescended), "no holder to descend from")
    }
    switch entity.record(for: objectID, process: holder)?.path {
    case .ring: return wantRing(.revalidation(objectID), pending, id: id, on: connection)
    case .direct: break
    // It has executed since, or has it on another path by now.
    default: return refuse(Refusal(.refused, detail: .notDescended), "the holder has none on this path")
    }
    switch expecting(pending, { join(object, holder, forked: forked, as: pending.subject) }) {
    case nil: refuse(Refusal(.undecidable), "the asker could not be followed")
    case .refused(let refusal, let cause, let nearest, let judged): refuse(refusal, cause, nearest, judged)
    case .joined(let association, let authorization):
      guard pending.state == .current,
        pending.withPIDDescriptor({ noteHolder($0, association, authorization) }) == true,
        let pin = pending.takePin()
      else {
        undo(association)
        return refuse(Refusal(.undecidable), "the asker could not be followed")
      }
      let entry = processEntry(pending.subject, pending.executablePath, pin)
      hold(association, by: entry, authorization, channel: nil, uid: pending.subject.effectiveUID ?? .max)
      object.shared?.users.insert(association.id)
      remember(
        .revalidate, association, entry, authorization, connection, id, .revalidatedDirect(association.id),
        client: nil)
    }
  }

  /// An association derived from `holder`'s, of the path direct or ring; nothing is recorded or told yet.
  ///
  /// - Parameter forked: boottime nanoseconds by which the line had been forked off the holder; nil: when the process had.
  func join(
    _ object: BrokeredObject, _ holder: ProcessResource, forked: UInt64? = nil, as subject: Subject,
    path: OperationPath = .direct
  ) -> Joining {
    guard let held = entity.record(for: object.id, process: holder), held.path == path else {
      return .refused(
        Refusal(.refused, detail: .notDescended), cause: "the holder has none on this path", nearest: nil)
    }
    let pid = Int32(bitPattern: subject.process.tgid)
    let asked = OpenRequest(
      subject: subject, object: object.definition.name, operations: held.operations, descendsFromHolder: true,
      ancestors: ancestors(of: pid) + [holder])
    let application = applicationNames[held.application] ?? ""
    let authorization: Authorization
    let facts = machineFacts(accepting: PathSet(path))
    switch policy.judge(revalidation: asked, application: application, authority: authority, facts: facts) {
    case .refused(let refusal):
      return .refused(
        refusal.told, cause: refusal.cause.text, nearest: refusal.nearest,
        judged: Circumstances(
          .revalidation, held.operations, subject: subject, facts: facts, descendsFromHolder: true, refusal: refusal))
    case .authorized(let granted): authorization = granted
    }
    let now = Clock.boottime()
    let wanted = RevalidationRequest(
      process: subject.process, object: object.id, application: held.application, generation: object.generation,
      ancestors: [holder], lineage: .descended, forked: forked ?? Broker.forkedBy(subject.process),
      processes: authorization.processes, path: path, expiry: authorization.deadline(madeAt: now) ?? 0,
      options: path == .direct ? options(authorization) : [], message: authorization.message)
    do { return .joined(try entity.revalidate(wanted, now: now), authorization) } catch {
      return .refused(
        error, cause: "the entity refused", nearest: nil,
        judged: Circumstances(
          .revalidation, held.operations, subject: subject, facts: facts, descendsFromHolder: true))
    }
  }

  /// Gives up an association of the asker's own, whose library has closed the descriptor, or one of its rings.
  func release(
    _ association: AssociationID, ring: UInt64, id: UInt64, from sender: SenderCredentials,
    on connection: ControlConnection
  ) {
    observeProcesses()
    guard let owner = associationOwners[association],
      owner.authorization.path == .direct || owner.authorization.path == .ring,
      let entry = processes[sender.pid], entry.resource == owner.process, entry.pin.state() == .current
    else {
      return refuseOpen(
        connection, id, Refusal(.refused), object: "",
        cause: "association \(association.rawValue) is not the asker's on the path direct or ring", sender: sender,
        path: .direct)
    }
    giveUp(ring, of: association, reason: .notAssociated)
    answer(connection, id, .done)
  }

  // MARK: postern open

  /// What a process is to have once it has execed what it says: the kernel makes the association at its first use then,
  /// however soon that is; before the exec it has nothing.
  func promise(
    _ object: BrokeredObject, _ authorization: Authorization, range: ByteRange?,
    _ pending: ControlConnection.Pending
  ) throws(SystemError) {
    guard let direct else { throw SystemError(errno: ErrorCode.notSupported, operation: "promise") }
    noteName(of: authorization)
    let process = pending.subject.process
    // What it does before its exec has been looked at is bound by the same limits as afterwards.
    let limits: LimitsID
    do {
      var set = authorization.limits
      if object.definition.kind == .disk, let range { set = try set.within(range) }
      limits = try entity.define(limits: set)
    } catch { throw SystemError(errno: ErrorCode.noSpace, operation: "limits") }
    defer { entity.release(limits) }
    try direct.promise(
      object.id, process, application: applicationID(authorization.application),
      operations: authorization.operations, limits: limits, generation: object.generation,
      options: options(authorization), now: Clock.boottime())
    let noted = pending.withPIDDescriptor { pidfd in
      guard let named = try? direct.kernel.identity(pidfd), direct.kernelName(of: process) == named else {
        return false
      }
      return (try? direct.kernel.noteHolder(pidfd, named, traceable: true)) != nil
    }
    guard noted == true else {
      direct.forgetPromise(object.id, process)
      throw SystemError(errno: ErrorCode.noSuchProcess, operation: "promise")
    }
  }
}

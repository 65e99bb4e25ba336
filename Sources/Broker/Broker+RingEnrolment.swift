import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Wire

extension Broker {
  func name(of purpose: RingPurpose) -> String {
    switch purpose {
    case .open(let open, _): open.object
    case .revalidation(let object): objects[object]?.definition.name ?? ""
    }
  }

  /// Asks the process that was judged for a ring; it is judged again when that is there.
  func wantRing(
    _ purpose: RingPurpose, _ former: ControlConnection.Pending, id: UInt64, on connection: ControlConnection
  ) {
    var generator = SystemRandomNumberGenerator()
    let nonce = Nonce(low: generator.next(), high: generator.next())
    guard
      let pending = ControlConnection.Pending(
        former, purpose: .enrolment(purpose), nonce: nonce, deadline: Clock.boottime() + 5_000_000_000)
    else { return }
    connection.pending = pending
    answer(connection, id, .ringWanted(nonce))
  }

  /// The asker's ring: a hand takes it.
  func enrol(_ enrol: Enrol, id: UInt64, from sender: SenderCredentials, on connection: ControlConnection) {
    guard let pending = connection.pending else { return }
    connection.pending = nil
    guard case .enrolment(let purpose) = pending.purpose else {
      return refuseOpen(
        connection, id, Refusal(.refused, detail: .nonce), object: "", cause: "no ring was waited for",
        subject: pending.subject, executablePath: pending.executablePath, sender: sender, path: .ring)
    }
    let asker = RingUse.Asker(connection: connection.id, request: id, purpose: purpose, pending: pending)
    if let mistake = mistake(in: pending, enrol.nonce, sender) {
      return refuse(asker, mistake.refusal, mistake.cause)
    }
    guard let ring = Int32(exactly: enrol.ring) else {
      return refuse(asker, Refusal(.refused, detail: .pathUnavailable), "no descriptor has this number")
    }
    switch judge(asker) {
    case .failure(let refusal): refuse(asker, refusal.told, refusal.cause.text, refusal.nearest)
    case .success(let authorization): start(asker, authorization, ring: ring, on: connection)
    }
  }

  /// The asker is held against policy, grants and revokes of now.
  func judge(_ asker: RingUse.Asker) -> Result<Authorization, JudgedRefusal> {
    func gone(_ reason: Reason, _ cause: RefusalCause, _ detail: RefusalDetail = .none) -> JudgedRefusal {
      JudgedRefusal(told: Refusal(reason, detail: detail), cause: cause)
    }
    let subject = asker.pending.subject
    let facts = machineFacts(accepting: .ring)
    let judgement: Judgement
    switch asker.purpose {
    case .open(let open, _):
      judgement = policy.judge(open: openRequest(open, subject), authority: authority, facts: facts)
    case .revalidation(let objectID):
      let pid = Int32(bitPattern: subject.process.tgid)
      guard let object = objects[objectID], let holder = tree.holder(aboveOf: pid, object: objectID),
        let held = entity.record(for: objectID, process: holder), held.path == .ring
      else { return .failure(gone(.refused, .forkRule, .notDescended)) }
      let asked = OpenRequest(
        subject: subject, object: object.definition.name, operations: held.operations, descendsFromHolder: true,
        ancestors: ancestors(of: pid) + [holder])
      judgement = policy.judge(
        revalidation: asked, application: applicationNames[held.application] ?? "", authority: authority, facts: facts)
    }
    switch judgement {
    case .refused(let refusal): return .failure(refusal)
    case .authorized(let authorization):
      if case .open(_, let first) = asker.purpose, first != authorization {
        return .failure(gone(.refused, .pathRule("the policy changed meanwhile; ask again"), .selector))
      }
      guard authorization.path == .ring else {
        return .failure(gone(.refused, .pathRule("the grant names another path by now"), .pathUnavailable))
      }
      return .success(authorization)
    }
  }

  private func start(
    _ asker: RingUse.Asker, _ authorization: Authorization, ring: Int32, on connection: ControlConnection
  ) {
    let pending = asker.pending
    let uid = pending.subject.effectiveUID ?? .max
    guard let object = objectIDs[authorization.object].flatMap({ objects[$0] }) else {
      return refuse(asker, Refusal(.noSuchObject), "the object is gone")
    }
    // Each is a process and a descriptor of ours.
    let count = ringUses.values.count { $0.uid == uid }
    guard count < Int(policy.limits.objects) || uid == 0, mayHaveChannel(uid) else {
      return refuse(asker, Refusal(.quota, message: authorization.message), "too many rings of this user")
    }
    let session: Session
    do throws(SystemError) { session = try ringSession(of: object, asker, authorization) } catch {
      if case .open(let open, _) = asker.purpose {
        return fail(open, authorization, object, pending, error, id: asker.request, on: connection)
      }
      return refuse(asker, Refusal(.undecidable), "the object cannot be opened: \(error)")
    }
    object.lastFailure = ""
    guard !(session.object is SocketObject) || session.isInRing || !session.isTagged && mayBeDirect(session) else {
      return refuse(
        asker, Refusal(.busy, message: authorization.message), "the object's socket is in use on another path")
    }
    let destination = object.definition.ringDestination(
      operations: authorization.operations, sendTo: authorization.limits.sendTo)
    let opcodes = RingOpcodes(for: authorization.operations, isConnected: destination != nil)
    do {
      let embodied = try embody(object, session, authorization, connectedTo: destination)
      let embodiment = embodied.embodiment
      let range = embodied.range
      let order = RingOrder(
        ring: ring, embodiment: embodiment, opcodes: opcodes, deadline: Clock.boottime() + 2_000_000_000)
      guard let hand = try makeHand(order, pending, embodied.descriptor) else {
        discard(session, of: object)
        return refuse(asker, Refusal(.undecidable), "the asker could not be followed")
      }
      let use = RingUse(
        id: nextRing, object: object.id, session: session, opcodes: opcodes, uid: uid, range: range,
        asker: asker, embodiment: embodiment, embodied: embodied.takeDescriptor(), hand: hand)
      nextRing += 1
      if let number = use.number { try epoll.add(number, .readable, token: Token.ring(use.id).rawValue) }
      if session.object is SocketObject { session.isInRing = true }
      ringUses[use.id] = use
    } catch {
      discard(session, of: object)
      refuse(asker, Refusal(.undecidable), "no hand for the ring: \(error)")
    }
  }

  /// The ancestor's own socket for a child, else the object's.
  private func ringSession(
    of object: BrokeredObject, _ asker: RingUse.Asker, _ authorization: Authorization
  ) throws(SystemError) -> Session {
    if case .revalidation = asker.purpose,
      let holder = tree.holder(aboveOf: asker.pending.pid, object: object.id),
      let held = entity.record(for: object.id, process: holder),
      // What the socket is connected to is among them.
      associationOwners[held.id]?.authorization.limits == authorization.limits,
      let shared = sessions.values.first(where: { $0.users.contains(held.id) }), !shared.isRecalled
    {
      return shared
    }
    return try session(for: object, authorization)
  }

  private struct Embodied: ~Copyable {
    var embodiment: RingOrder.Embodiment
    var descriptor: Descriptor
    var range: ByteRange?

    consuming func takeDescriptor() -> Descriptor { descriptor }
  }

  /// What goes to the hand: the socket, or what a loop device of exactly the granted range is made of.
  private func embody(
    _ object: BrokeredObject, _ session: Session, _ authorization: Authorization,
    connectedTo destination: NetworkAddress?
  ) throws(SystemError) -> Embodied {
    if let socket = session.object as? SocketObject {
      if let destination { try socket.connect(to: destination) }
      return Embodied(embodiment: .socket, descriptor: try socket.lend(), range: nil)
    }
    guard let disk = session.object as? DiskObject else {
      throw SystemError(errno: ErrorCode.notSupported, operation: "a ring for this object")
    }
    guard let limits = try? authorization.limits.within(disk.range), let range = limits.range else {
      throw SystemError(errno: ErrorCode.invalid, operation: "range")
    }
    let writable = !authorization.operations.isDisjoint(with: OperationSet([.write, .discard]))
    return Embodied(
      embodiment: .disk(offset: range.offset, length: range.length, writable: writable),
      descriptor: try disk.giveAway(writable: writable), range: range)
  }

  /// nil: the asker cannot be followed any more.
  private func makeHand(
    _ order: RingOrder, _ pending: ControlConnection.Pending, _ object: borrowing Descriptor
  ) throws(SystemError) -> RingHand? {
    guard let application = try pending.duplicatePIDDescriptor() else { return nil }
    switch ringHands {
    case .some(let hands): return try hands.hand(order, application: application, object: object)
    case .none: throw SystemError(errno: ErrorCode.notSupported, operation: "ring")
    }
  }

  func refuse(
    _ asker: RingUse.Asker, _ refusal: Refusal, _ cause: String, _ nearest: NearestGrant? = nil
  ) {
    guard let connection = connections[asker.connection] else { return }
    let question: Circumstances.Question
    let operations: OperationSet
    let isDescendant: Bool
    switch asker.purpose {
    case .open(let open, _): (question, operations, isDescendant) = (.open, open.operations, false)
    case .revalidation: (question, operations, isDescendant) = (.revalidation, [], true)
    }
    refuseOpen(
      connection, asker.request, refusal, object: name(of: asker.purpose), cause: cause, nearest: nearest,
      subject: asker.pending.subject, executablePath: asker.pending.executablePath, operations: operations, path: .ring,
      judged: Circumstances(
        question, operations, subject: asker.pending.subject, facts: machineFacts(accepting: .ring),
        descendsFromHolder: isDescendant))
  }
}

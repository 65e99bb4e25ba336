import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Wire

extension Broker {
  /// The ring is restricted and empty: whoever asked is judged once more, and associated.
  func associateRing(_ use: RingUse) {
    guard let asker = use.asker, let connection = connections[asker.connection], let object = objects[use.object]
    else { return abandon(use) }
    func refused(_ refusal: Refusal, _ cause: String, _ nearest: NearestGrant? = nil) {
      abandon(use)
      refuse(asker, refusal, cause, nearest)
    }
    guard !use.session.isRecalled, sessions[use.session.id] != nil else {
      return refused(Refusal(.stale), "the object was closed meanwhile")
    }
    let authorization: Authorization
    switch judge(asker) {
    case .failure(let refusal): return refused(refusal.told, refusal.cause.text, refusal.nearest)
    case .success(let now): authorization = now
    }
    // An application can have made this take long, by its ring's lock, and a reload or its parent's new open can have come between.
    guard authorization == use.authorization else {
      return refused(Refusal(.refused, detail: .selector), "the policy or the holder changed meanwhile; ask again")
    }
    let association: AssociationRecord
    switch asker.purpose {
    case .open:
      switch associate(object, authorization, asker.pending.subject, range: use.range) {
      case .refused(let refusal, let cause): return refused(refusal, cause)
      case .held(let made): association = made
      }
    case .revalidation:
      guard let holder = tree.holder(aboveOf: asker.pending.pid, object: object.id) else {
        return refused(Refusal(.refused, detail: .notDescended), "no holder to descend from")
      }
      switch join(object, holder, as: asker.pending.subject, path: .ring) {
      case .refused(let refusal, let cause, let nearest, _): return refused(refusal, cause, nearest)
      case .joined(let made, _): association = made
      }
    }
    // After the table knows it: an exec before is seen here, one after ends it.
    guard asker.pending.state == .current, let pin = asker.pending.takePin() else {
      undo(association)
      return refused(Refusal(.undecidable), "the asker could not be followed")
    }
    let entry = processEntry(asker.pending.subject, asker.pending.executablePath, pin)
    hold(association, by: entry, authorization, channel: nil, uid: use.uid)
    associationOwners[association.id]?.opens += 1
    use.session.users.insert(association.id)
    use.association = association.id
    use.holder = association.process
    use.application = authorization.application
    use.killsStuck = authorization.rule.killOnStuckRevoke
    use.stage = .recording
    let kind: AuditKind =
      switch asker.purpose {
      case .open: .grant
      case .revalidation: .revalidate
      }
    use.asker = nil
    remember(
      kind, association, entry, authorization, connection, asker.request, .enrolled(association.id, ring: use.id),
      client: nil)
  }

  private func associate(
    _ object: BrokeredObject, _ authorization: Authorization, _ subject: Subject, range: ByteRange?
  ) -> Holding {
    let limits: LimitsID
    do {
      var set = authorization.limits
      if let range { set = try set.within(range) }
      limits = try entity.define(limits: set)
    } catch { return .refused(Refusal(.undecidable), cause: "the limits cannot be held: \(error)") }
    defer { entity.release(limits) }
    let now = Clock.boottime()
    var wanted = request(object, authorization, subject.process, limits: limits, now: now)
    wanted.path = .ring
    wanted.options = []
    do { return .held(try entity.associate(wanted, now: now)) } catch {
      return .refused(error, cause: "the entity refused")
    }
  }

  /// The record is on disk: the object goes into its slot.
  func fill(_ ring: UInt64, _ association: AssociationID, _ grant: PendingGrant, for connection: ControlConnection) {
    guard let use = ringUses[ring], case .recording = use.stage, let owner = associationOwners[association] else {
      // Revoked meanwhile; or its hand has ended, and there is no ring to be associated with.
      giveUp(ring, of: association, reason: .undecidable)
      return answer(connection, grant.request, .refused(RefusedReply(Refusal(.revoked))))
    }
    do {
      if let socket = use.session.object as? SocketObject { try socket.listenLent(owner.authorization.operations) }
      try use.give()
      use.stage = .filling(connection: connection.id, request: grant.request)
    } catch {
      use.stage = .filling(connection: connection.id, request: grant.request)
      couldNotFill(use, "\(error)")
    }
  }

  func filled(_ use: RingUse) {
    guard case .filling(let waiting, let request) = use.stage else { return }
    use.stage = .filled
    guard let connection = connections[waiting] else { return }
    guard let association = use.association, let owner = associationOwners[association],
      let record = entity.record(for: owner.object, process: owner.process), let object = objects[use.object]
    else { return answer(connection, request, .refused(RefusedReply(Refusal(.revoked)))) }
    answer(
      connection, request,
      .enrolled(
        Enrolled(
          association: association, object: object.id, kind: object.definition.kind, slot: 0,
          operations: record.operations, generation: record.generation, expiry: record.expiry,
          rangeLength: use.range?.length ?? 0, opcodes: use.opcodes.rawValue, ring: use.id)))
  }

  /// There was an association, and its record says so; it ends without having been of use, but for other rings of it.
  func couldNotFill(_ use: RingUse, _ why: String) {
    guard case .filling(let waiting, let request) = use.stage else { return }
    let refusal = Refusal(.refused, detail: .pathUnavailable)
    var refused = refusalRecord(
      refusal, object: objects[use.object]?.definition.name ?? "", cause: why, nearest: nil, path: .ring)
    if let holder = use.holder { refused.describe(holder) }
    refused.uid = use.uid
    _ = journal.submit(refused, durability: .none)
    use.stage = .filled
    if let association = use.association { giveUp(use.id, of: association, reason: .undecidable) }
    if let connection = connections[waiting] { answer(connection, request, .refused(RefusedReply(refusal))) }
  }

  /// Nothing came of it: the hand ends with its socket.
  func abandon(_ use: RingUse) {
    ringUses[use.id] = nil
    if let number = use.number { try? epoll.remove(number) }
    closeIfUnused(use.session)
  }
}

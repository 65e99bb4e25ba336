import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Supervision
import Wire

extension Broker {
  /// The first of the two open messages: pins the asker, judges it, and gives out a nonce.
  ///
  /// A program that asks and then execs a trusted binary gains nothing: the second message must come from the same
  /// process with the same program image, which the pin shows.
  func open(_ open: Open, id: UInt64, from sender: SenderCredentials, on connection: ControlConnection) {
    guard let asker = pinned(sender.pid) else {
      return refuseOpen(
        connection, id, Refusal(.undecidable), object: open.object, cause: "the asker could not be looked at",
        sender: sender)
    }
    let subject = asker.subject
    let executablePath = asker.executablePath
    let asked = openRequest(open, subject)
    let facts = machineFacts(accepting: accepted(open))
    switch policy.judge(open: asked, authority: authority, facts: facts) {
    case .refused(let refusal):
      refuseOpen(
        connection, id, refusal.told, object: open.object, cause: refusal.cause.text, nearest: refusal.nearest,
        subject: subject, executablePath: executablePath, sender: sender, operations: open.operations,
        judged: Circumstances(
          .open, open.operations, subject: subject, facts: facts, descendsFromHolder: asked.descendsFromHolder,
          refusal: refusal))
    case .authorized(let authorization):
      if let path = open.path, path != authorization.path {
        return refuseOpen(
          connection, id, Refusal(.refused, detail: .pathUnavailable, message: authorization.message),
          object: open.object, cause: "the demanded path is not available", subject: subject,
          executablePath: executablePath, sender: sender, operations: open.operations,
          judged: Circumstances(.open, open.operations, subject: subject, facts: facts))
      }
      challenge(connection, id, .open(open, authorization), asker)
    }
  }

  /// The paths that the asker can take and the object, as it is used now, allows: the one socket of an object is waited on
  /// by the broker or lent to its users, not both.
  func accepted(_ open: Open) -> PathSet {
    // A demand is one of these; that it is the judged path is looked at afterwards.
    if let demanded = open.path { return PathSet(demanded) }
    guard let id = objectIDs[open.object], let shared = objects[id]?.shared, !shared.isRecalled, !mayBeDirect(shared)
    else { return open.accepts }
    return open.accepts.subtracting(.direct)
  }

  func openRequest(_ open: Open, _ subject: Subject) -> OpenRequest {
    let pid = Int32(bitPattern: subject.process.tgid)
    let holder = objectIDs[open.object].flatMap { tree.holder(aboveOf: pid, object: $0) }
    return OpenRequest(
      subject: subject, object: open.object, operations: open.operations,
      descendsFromHolder: holder != nil, ancestors: ancestors(of: pid))
  }

  /// Asks on an object channel's behalf for an association of the asker's own: the fork protocol.
  func revalidate(
    channel: UInt64, id: UInt64, from sender: SenderCredentials, on connection: ControlConnection
  ) {
    guard let asker = pinned(sender.pid) else {
      return refuseOpen(
        connection, id, Refusal(.undecidable), object: "", cause: "the asker could not be looked at", sender: sender)
    }
    // Its number alone says nothing: whoever adopted it has shown the inherited descriptor, and nobody else's channel
    // is tied to a stranger's association.
    guard let named = channels[channel], named.belongs(to: asker.subject.process) else {
      return refuseOpen(
        connection, id, Refusal(.noSuchObject), object: "", cause: "no channel of the asker's", subject: asker.subject,
        executablePath: asker.executablePath, sender: sender)
    }
    challenge(connection, id, .revalidation(channel: channel), asker)
  }

  func challenge(
    _ connection: ControlConnection, _ id: UInt64, _ purpose: ControlConnection.Pending.Purpose,
    _ asker: consuming PinnedAsker
  ) {
    // An exec between pinning and judging: what was judged is not what runs.
    guard asker.pin.state() == .current else {
      return refuseOpen(
        connection, id, Refusal(.refused, detail: .execed), object: "", cause: "the asker changed",
        subject: asker.subject, executablePath: asker.executablePath)
    }
    var generator = SystemRandomNumberGenerator()
    let nonce = Nonce(low: generator.next(), high: generator.next())
    connection.pending = ControlConnection.Pending(
      purpose: purpose, asker: asker, nonce: nonce, deadline: Clock.boottime() + 5_000_000_000)
    answer(connection, id, .challenge(nonce))
  }

  /// The second message: the same process, still pinned, repeats the nonce.
  func confirm(_ nonce: Nonce, id: UInt64, from sender: SenderCredentials, on connection: ControlConnection) {
    guard let pending = connection.pending else { return }
    connection.pending = nil
    let object =
      switch pending.purpose {
      case .open(let open, _): open.object
      case .revalidation(let channel): channels[channel]?.objectName ?? ""
      case .handOver(let order, _, _): order.object
      case .objectRevalidation(let object): objects[object]?.definition.name ?? ""
      case .enrolment(let purpose): name(of: purpose)
      }
    func refuse(_ refusal: Refusal, _ cause: String) {
      refuseOpen(
        connection, id, refusal, object: object, cause: cause, subject: pending.subject,
        executablePath: pending.executablePath, sender: sender)
    }
    if let mistake = mistake(in: pending, nonce, sender) { return refuse(mistake.refusal, mistake.cause) }
    switch pending.purpose {
    case .open(let open, let authorization):
      establish(open, authorization, pending, id: id, on: connection)
    case .revalidation(let channel):
      guard let channel = channels[channel] else { return refuse(Refusal(.noSuchObject), "the channel is gone") }
      establishRevalidation(of: channel, pending, id: id, on: connection)
    case .handOver(let order, let authorization, let program):
      handOver(order, authorization, program, pending, id: id, on: connection)
    case .objectRevalidation(let object):
      establishRevalidation(of: object, pending, id: id, on: connection)
    case .enrolment: refuse(Refusal(.refused, detail: .nonce), "a ring was waited for")
    }
  }

  /// Why a further message is not taken for one of the process that was pinned and judged; nil: it is.
  func mistake(
    in pending: ControlConnection.Pending, _ nonce: Nonce, _ sender: SenderCredentials
  ) -> (refusal: Refusal, cause: String)? {
    guard sender.pid == pending.pid else {
      return (Refusal(.refused, detail: .nonce), "another process sent the second message")
    }
    guard nonce == pending.nonce, Clock.boottime() <= pending.deadline else {
      return (Refusal(.refused, detail: .nonce), "the nonce is wrong or too old")
    }
    // After the receive: the pinned process sent it only if it still lives, and is what was judged only if it has not
    // changed its image.
    return switch pending.state {
    case .ended: (Refusal(.undecidable), "the asker has ended")
    case .execed: (Refusal(.refused, detail: .execed), "the asker changed its program image")
    case .current: nil
    }
  }

  /// Opens the object and makes the association.
  private func establish(
    _ open: Open, _ authorization: Authorization, _ pending: ControlConnection.Pending, id: UInt64,
    on connection: ControlConnection
  ) {
    func refuse(_ refusal: Refusal, _ cause: String) {
      refuseOpen(
        connection, id, refusal, object: open.object, cause: cause, subject: pending.subject,
        executablePath: pending.executablePath, operations: open.operations, application: authorization.application,
        judged: Circumstances(
          .open, open.operations, subject: pending.subject, facts: machineFacts(accepting: accepted(open))))
    }
    guard let objectID = objectIDs[open.object], let object = objects[objectID] else {
      return refuse(Refusal(.noSuchObject), "the object is gone")
    }
    // What an association may do was judged against the policy and revokes of the first message; both may have changed.
    guard
      case .authorized(let current) = policy.judge(
        open: openRequest(open, pending.subject), authority: authority,
        facts: machineFacts(accepting: accepted(open))),
      current == authorization
    else { return refuse(Refusal(.refused, detail: .selector), "the policy changed meanwhile; ask again") }
    let uid = pending.subject.effectiveUID ?? .max
    let held = associationOwners.values.count { $0.uid == uid }
    guard held < Int(policy.limits.objects) || uid == 0, mayHaveChannel(uid) else {
      return refuse(Refusal(.quota, message: authorization.message), "too many objects of this user")
    }

    if authorization.path == .ring {
      return wantRing(.open(open, authorization), pending, id: id, on: connection)
    }
    let session: Session
    do throws(SystemError) {
      session = try self.session(for: object, authorization)
    } catch {
      return fail(open, authorization, object, pending, error, id: id, on: connection)
    }
    object.lastFailure = ""
    if authorization.path == .mediated, session.isTagged || session.isInRing {
      return refuse(
        Refusal(.busy, message: authorization.message), "the object's socket is in use on the path direct or ring")
    }
    if authorization.path == .direct {
      guard mayBeDirect(session), !session.isInRing else {
        return refuse(
          Refusal(.busy, message: authorization.message), "the object's socket is in use on another path")
      }
      return establishDirect(session, object, open, authorization, pending, id: id, on: connection)
    }

    let limits: LimitsID
    do {
      var set = authorization.limits
      if object.definition.kind == .disk, let device = session.object.footprint?.range { set = try set.within(device) }
      limits = try entity.define(limits: set)
    } catch {
      discard(session, of: object)
      return refuse(Refusal(.undecidable), "the limits cannot be held: \(error)")
    }
    defer { entity.release(limits) }
    let now = Clock.boottime()
    let wanted = AssociationRequest(
      process: pending.subject.process, object: objectID, application: applicationID(authorization.application),
      generation: object.generation, requested: authorization.operations, granted: authorization.operations,
      limits: limits, processes: authorization.processes, path: .mediated, onFork: authorization.onFork,
      onExec: authorization.onExec, expiry: authorization.deadline(madeAt: now) ?? 0, message: authorization.message)
    let association: AssociationRecord
    do {
      association = try entity.associate(wanted, now: now)
    } catch {
      discard(session, of: object)
      return refuse(error, "the entity refused")
    }
    guard
      let channel = makeChannel(session, object, uid: uid, application: authorization.application, association)
    else {
      undo(association)
      discard(session, of: object)
      return refuse(Refusal(.undecidable), "no descriptor for a channel")
    }
    channel.channel.auditDetail = authorization.rule.audit
    guard let pin = pending.takePin() else { return }
    let entry = processEntry(pending.subject, pending.executablePath, pin)
    hold(association, by: entry, authorization, channel: channel.channel, uid: uid)
    remember(
      .grant, association, entry, authorization, connection, id,
      .opened(association.id, channel: channel.channel.id), client: channel.client)
  }

  /// The object could not be opened: an errno of its own, no refusal.
  func fail(
    _ open: Open, _ authorization: Authorization, _ object: BrokeredObject, _ pending: ControlConnection.Pending,
    _ error: SystemError, id: UInt64, on connection: ControlConnection
  ) {
    object.lastFailure = error.description
    var failed = record(.refusal)
    failed.describe(pending.subject, executablePath: ByteString(pending.executablePath))
    failed.object = ByteString(open.object)
    failed.application = ByteString(authorization.application)
    failed.errno = error.errno
    failed.detail = .objectUnavailable
    failed.message = ByteString(error.description)
    failed.circumstances = Circumstances(.open, open.operations, subject: pending.subject, facts: machineFacts())
    _ = journal.submit(failed, durability: .none)
    answer(connection, id, .failed(Failure(errno: error.errno, text: "\(open.object): \(error)")))
  }

  private func establishRevalidation(
    of channel: ObjectChannel, _ pending: ControlConnection.Pending, id: UInt64, on connection: ControlConnection
  ) {
    switch join(channel, as: pending.subject) {
    case .refused(let refusal, let cause, let nearest, let judged):
      refuseOpen(
        connection, id, refusal, object: channel.objectName, cause: cause, nearest: nearest,
        subject: pending.subject, executablePath: pending.executablePath, application: channel.applicationName,
        judged: judged)
    case .joined(let association, let authorization):
      guard let pin = pending.takePin() else { return }
      let entry = processEntry(pending.subject, pending.executablePath, pin)
      take(channel, association, authorization, entry)
      remember(
        .revalidate, association, entry, authorization, connection, id,
        .revalidated(association.id, channel: channel.id), client: nil)
    }
  }
}

extension ObjectChannel {
  /// Whether `process` opened or adopted it; what it has executed since is the entity's to judge.
  func belongs(to process: ProcessResource) -> Bool {
    guard let owner = adopter ?? holder ?? lineageHolder else { return false }
    return owner.tgid == process.tgid && owner.start == process.start
  }
}

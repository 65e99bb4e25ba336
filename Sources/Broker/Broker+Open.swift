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
    switch policy.judge(open: asked, authority: authority, facts: machineFacts()) {
    case .refused(let refusal):
      refuseOpen(
        connection, id, refusal.told, object: open.object, cause: refusal.cause.text, nearest: refusal.nearest,
        subject: subject, executablePath: executablePath, sender: sender, operations: open.operations)
    case .authorized(let authorization):
      if let path = open.path, path != authorization.path {
        return refuseOpen(
          connection, id, Refusal(.refused, detail: .pathUnavailable, message: authorization.message),
          object: open.object, cause: "the demanded path is not available", subject: subject,
          executablePath: executablePath, sender: sender, operations: open.operations)
      }
      challenge(connection, id, .open(open, authorization), asker)
    }
  }

  private func openRequest(_ open: Open, _ subject: Subject) -> OpenRequest {
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
      }
    func refuse(_ refusal: Refusal, _ cause: String) {
      refuseOpen(
        connection, id, refusal, object: object, cause: cause, subject: pending.subject,
        executablePath: pending.executablePath, sender: sender)
    }
    guard sender.pid == pending.pid else {
      return refuse(Refusal(.refused, detail: .nonce), "another process sent the second message")
    }
    guard nonce == pending.nonce, Clock.boottime() <= pending.deadline else {
      return refuse(Refusal(.refused, detail: .nonce), "the nonce is wrong or too old")
    }
    // After the receive: the pinned process sent it only if it still lives, and is what was judged only if it has not
    // changed its image.
    switch pending.state {
    case .ended: return refuse(Refusal(.undecidable), "the asker has ended")
    case .execed: return refuse(Refusal(.refused, detail: .execed), "the asker changed its program image")
    case .current: break
    }
    switch pending.purpose {
    case .open(let open, let authorization):
      establish(open, authorization, pending, id: id, on: connection)
    case .revalidation(let channel):
      guard let channel = channels[channel] else { return refuse(Refusal(.noSuchObject), "the channel is gone") }
      establishRevalidation(of: channel, pending, id: id, on: connection)
    case .handOver(let order, let authorization, let program):
      handOver(order, authorization, program, pending, id: id, on: connection)
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
        executablePath: pending.executablePath, operations: open.operations)
    }
    guard let objectID = objectIDs[open.object], let object = objects[objectID] else {
      return refuse(Refusal(.noSuchObject), "the object is gone")
    }
    // What an association may do was judged against the policy and revokes of the first message; both may have changed.
    guard
      case .authorized(let current) = policy.judge(
        open: openRequest(open, pending.subject), authority: authority, facts: machineFacts()),
      current == authorization
    else { return refuse(Refusal(.refused, detail: .selector), "the policy changed meanwhile; ask again") }
    let uid = pending.subject.effectiveUID ?? .max
    let held = associationOwners.values.count { $0.uid == uid }
    guard held < Int(policy.limits.objects) || uid == 0, mayHaveChannel(uid) else {
      return refuse(Refusal(.quota, message: authorization.message), "too many objects of this user")
    }

    let session: Session
    do throws(SystemError) {
      session = try self.session(for: object, operations: authorization.operations)
    } catch {
      object.lastFailure = error.description
      var failed = record(.refusal)
      failed.describe(pending.subject, executablePath: ByteString(pending.executablePath))
      failed.object = ByteString(open.object)
      failed.application = ByteString(authorization.application)
      failed.errno = error.errno
      failed.detail = .objectUnavailable
      failed.message = ByteString(error.description)
      _ = journal.submit(failed, durability: .none)
      return answer(connection, id, .failed(Failure(errno: error.errno, text: "\(open.object): \(error)")))
    }
    object.lastFailure = ""

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

  private func establishRevalidation(
    of channel: ObjectChannel, _ pending: ControlConnection.Pending, id: UInt64, on connection: ControlConnection
  ) {
    switch join(channel, as: pending.subject) {
    case .refused(let refusal, let cause, let nearest):
      refuseOpen(
        connection, id, refusal, object: channel.objectName, cause: cause, nearest: nearest,
        subject: pending.subject, executablePath: pending.executablePath)
    case .joined(let association, let authorization):
      guard let pin = pending.takePin() else { return }
      let entry = processEntry(pending.subject, pending.executablePath, pin)
      take(channel, association, authorization, entry)
      remember(
        .revalidate, association, entry, authorization, connection, id,
        .revalidated(association.id, channel: channel.id), client: nil)
    }
  }

  /// The end of the tick in which a process started, in boottime nanoseconds: by then it had been forked.
  static func forkedBy(_ process: ProcessResource) -> UInt64 { (process.start + 1) * 10_000_000 }

  /// Journals a grant and lets its reply wait until the record is on disk.
  private func remember(
    _ kind: AuditKind, _ association: AssociationRecord, _ entry: ProcessEntry, _ authorization: Authorization,
    _ connection: ControlConnection, _ id: UInt64, _ pending: PendingGrant.Answer, client: consuming Descriptor?
  ) {
    let token = nextGrantToken
    if submit(kind, association, entry, authorization) {
      unrecorded.insert(association.id)
      pendingGrants[token] = PendingGrant(connection: connection.id, request: id, answer: pending)
      if let client = client.take() { clientEnds[token] = HeldDescriptor(client) }
    } else {
      withdraw(pending)
      answer(
        connection, id,
        .refused(RefusedReply(Refusal(.undecidable, detail: .auditFull, message: "the audit journal is full"))))
    }
  }

  /// Queues the record of a new association under the next grant token; false: the journal is full.
  func submit(
    _ kind: AuditKind, _ association: AssociationRecord, _ entry: ProcessEntry, _ authorization: Authorization
  ) -> Bool {
    var granted = record(kind)
    granted.describe(entry.subject, executablePath: ByteString(entry.executablePath))
    granted.describe(association.process)
    granted.object = ByteString(authorization.object)
    granted.application = ByteString(authorization.application)
    granted.association = association.id
    granted.operations = association.operations
    granted.path = association.path
    granted.generation = association.generation
    let token = nextGrantToken
    nextGrantToken += 1
    switch journal.submit(granted, durability: .required(token: token)) {
    case .queued, .counted: return true
    case .full: return false
    }
  }

  /// Replies to grants whose records are on disk, and withdraws those whose records could not be written.
  func recordsDurable() {
    journalEvent.drain()
    for completion in journal.takeCompletions() {
      guard let grant = pendingGrants.removeValue(forKey: completion.token) else { continue }
      let client = clientEnds.removeValue(forKey: completion.token)
      if let association = grant.answer.association { unrecorded.remove(association) }
      guard case .durable = completion.outcome else {
        withdraw(grant.answer)
        if let connection = connections[grant.connection] {
          answer(
            connection, grant.request,
            .refused(
              RefusedReply(Refusal(.undecidable, detail: .auditFull, message: "the audit record could not be written")))
          )
        }
        continue
      }
      if case .handedOver(let association) = grant.answer {
        resumeSupervised(association, verdict(association))
      }
      guard let connection = connections[grant.connection] else { continue }
      deliver(grant, client, to: connection)
    }
    feedFollowers()
  }

  private func deliver(_ grant: PendingGrant, _ client: HeldDescriptor?, to connection: ControlConnection) {
    switch grant.answer {
    case .handedOver: break
    case .given(let number): give(number, grant, client, to: connection)
    case .opened(let association, let channelID):
      // Revoked or reloaded while the record was written: the channel says so at the first instruction.
      guard let channel = channels[channelID], let object = objects[channel.session.objectID] else {
        return answer(connection, grant.request, .refused(RefusedReply(Refusal(.noSuchObject))))
      }
      let owner = associationOwners[association]
      let record = channel.holder.flatMap { entity.record(for: object.id, process: $0) }
      answer(
        connection, grant.request,
        .opened(
          Opened(
            association: association, channel: channelID, object: object.id, kind: object.definition.kind,
            path: .mediated, operations: owner?.authorization.operations ?? record?.operations ?? [],
            generation: object.generation, expiry: record?.expiry ?? 0, rangeLength: rangeLength(channel, owner),
            maximumPayload: UInt32(Bounds.payload))),
        descriptor: client?.take())
      interpreter.armFirst(channel, observer: self)
    case .revalidated(let association, let channelID):
      guard let channel = channels[channelID] else {
        return answer(connection, grant.request, .refused(RefusedReply(Refusal(.noSuchObject))))
      }
      let record = channel.holder.flatMap { entity.record(for: channel.session.objectID, process: $0) }
      answer(
        connection, grant.request,
        .revalidated(
          Revalidated(
            association: association, operations: record?.operations ?? [], generation: record?.generation ?? 0,
            expiry: record?.expiry ?? 0)))
      interpreter.armFirst(channel, observer: self)
    }
  }

  /// Bytes that the application's offsets can reach; 0 for what has no length.
  func rangeLength(_ channel: ObjectChannel, _ owner: AssociationOwner?) -> UInt64 {
    guard objects[channel.session.objectID]?.definition.kind == .disk else { return 0 }
    if let range = owner?.authorization.limits.range { return range.length }
    return channel.session.object.footprint?.range?.length ?? 0
  }

  func withdraw(_ answer: PendingGrant.Answer) {
    if let association = answer.association {
      ended(
        entity.drop(AssociationSelector(association: association), as: .dropped), cause: .closed, reason: .undecidable)
      resumeSupervised(association, .refused)
    }
    switch answer {
    case .opened(_, let channel): if let channel = channels[channel] { closeChannel(channel) }
    case .given(let number): forgetHandOver(number)
    case .revalidated, .handedOver: break
    }
  }

  func undo(_ association: AssociationRecord) {
    _ = entity.drop(AssociationSelector(association: association.id), as: .dropped)
  }

  /// Records a refusal at the door, in the place that refused, and tells the asker.
  func refuseOpen(
    _ connection: ControlConnection, _ id: UInt64, _ refusal: Refusal, object: String, cause: String,
    nearest: NearestGrant? = nil, subject: Subject? = nil, executablePath: String = "",
    sender: SenderCredentials? = nil, operations: OperationSet = [], path: OperationPath = .mediated
  ) {
    var refused = refusalRecord(refusal, object: object, cause: cause, nearest: nearest, path: path)
    if let subject {
      refused.describe(subject, executablePath: ByteString(executablePath))
    } else if let sender {
      refused.pid = UInt32(bitPattern: sender.pid)
      refused.uid = sender.uid
    }
    refused.operations = operations.isEmpty ? nil : operations
    _ = journal.submit(refused, durability: .none)
    answer(connection, id, .refused(RefusedReply(refusal)))
  }

  /// A refusal with its true reason, without who was refused.
  func refusalRecord(
    _ refusal: Refusal, object: String, cause: String, nearest: NearestGrant?, path: OperationPath
  ) -> AuditRecord {
    refusals += 1
    var refused = AuditRecord(refusal: refusal, time: Broker.auditTime(), boot: boot)
    refused.object = ByteString(object)
    refused.path = path
    if let nearest {
      refused.application = ByteString(nearest.application)
      refused.grant = ByteString(
        "\(nearest.application)\(nearest.mismatch.map { ": \($0.rawValue) does not match" } ?? "")")
    }
    refused.message = ByteString(refusal.message.isEmpty ? cause : "\(cause); \(refusal.message)")
    return refused
  }
}

/// A sender, pinned and looked at.
struct PinnedAsker: ~Copyable {
  let pin: ProcessPin
  var subject: Subject
  let executablePath: String

  consuming func takePin() -> ProcessPin { pin }

  /// nil where the process cannot be looked at: undecidable, and so denied.
  init?(_ pid: Int32) {
    guard let pin = try? ProcessPin(pid: pid) else { return nil }
    let facts = ProcessFacts(of: pid)
    subject = Broker.subject(facts, process: ProcessResource(tgid: UInt32(pid), start: pin.start))
    executablePath = facts.executablePath ?? ""
    self.pin = pin
  }
}

/// A descriptor that waits in a collection.
final class HeldDescriptor {
  private var descriptor: Descriptor?

  init(_ descriptor: consuming Descriptor) { self.descriptor = consume descriptor }

  func take() -> Descriptor? { descriptor.take() }
}

extension ObjectChannel {
  /// Whether `process` opened or adopted it; what it has executed since is the entity's to judge.
  func belongs(to process: ProcessResource) -> Bool {
    guard let owner = adopter ?? holder ?? lineageHolder else { return false }
    return owner.tgid == process.tgid && owner.start == process.start
  }
}

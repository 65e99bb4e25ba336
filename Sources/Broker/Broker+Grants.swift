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
  /// The end of the tick in which a process started, in boottime nanoseconds: by then it had been forked.
  static func forkedBy(_ process: ProcessResource) -> UInt64 { (process.start + 1) * 10_000_000 }

  /// Journals a grant and lets its reply wait until the record is on disk.
  func remember(
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
    granted.circumstances = circumstances(of: kind, entry.subject, authorization)
    let token = nextGrantToken
    nextGrantToken += 1
    switch journal.submit(granted, durability: .required(token: token)) {
    case .queued, .counted: return true
    case .full: return false
    }
  }

  /// What a new association was judged by, so that its record can be held against another policy; nil: by the facts of
  /// another process than the record's (`Broker.inheriting`).
  private func circumstances(
    of kind: AuditKind, _ subject: Subject, _ authorization: Authorization
  ) -> Circumstances? {
    if kind == .revalidate, authorization.path == .direct, authorization.onFork == .inherit { return nil }
    var facts = machineFacts()
    facts.availablePaths.insert(authorization.path)
    let question: Circumstances.Question =
      kind == .revalidate ? .revalidation : authorization.path == .handover ? .run : .open
    return Circumstances(
      question, authorization.operations, subject: subject, facts: facts, descendsFromHolder: kind == .revalidate)
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
    wakeSinks()
  }

  private func deliver(_ grant: PendingGrant, _ client: HeldDescriptor?, to connection: ControlConnection) {
    switch grant.answer {
    case .handedOver: break
    case .given(let number): give(number, grant, client, to: connection)
    case .openedDirect(let association): deliverDirect(association, grant, client, to: connection)
    case .revalidatedDirect(let association): deliverDirectRevalidation(association, grant, to: connection)
    case .enrolled(let association, let ring): fill(ring, association, grant, for: connection)
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
    case .revalidated, .handedOver, .openedDirect, .revalidatedDirect, .enrolled: break
    }
  }

  /// An association that came to nothing. One that its process had already, which a second open only adds to, ends with all that
  /// there is of it: nobody would find that otherwise once its record is dropped.
  func undo(_ association: AssociationRecord) {
    let dropped = entity.drop(AssociationSelector(association: association.id), as: .dropped)
    if associationOwners[association.id] != nil { ended(dropped, cause: .closed, reason: .undecidable) }
    // Whoever has ended or executed meanwhile may be nobody's entry, with whose end this would go.
    forgetEvidence(of: association.process)
  }
}

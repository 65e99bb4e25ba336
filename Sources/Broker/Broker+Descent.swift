import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation

/// What became of a process that wants to take part in what a holder before it has.
enum Joining {
  case joined(AssociationRecord, Authorization)
  case refused(Refusal, cause: String, nearest: NearestGrant?, judged: Circumstances? = nil)
}

extension Broker {
  /// Makes an association for a process that descends from the holder of `channel`, if policy, descent and quotas allow
  /// it; nothing is recorded or told yet.
  func join(_ channel: ObjectChannel, as subject: Subject) -> Joining {
    func refused(_ refusal: Refusal, _ cause: String) -> Joining { .refused(refusal, cause: cause, nearest: nil) }
    guard let objectID = objectIDs[channel.objectName], let object = objects[objectID],
      objectID == channel.session.objectID
    else { return refused(Refusal(.noSuchObject), "the object is gone") }
    guard let presented = channel.lineageHolder else {
      return refused(Refusal(.refused, detail: .notDescended), "no holder to descend from")
    }
    let pid = Int32(bitPattern: subject.process.tgid)
    let lineage = self.lineage(of: pid, object: objectID, presented: presented)
    guard let holder = lineage.ancestors.first, let held = entity.record(for: objectID, process: holder) else {
      return refused(Refusal(.refused, detail: .notDescended), "no holder to descend from")
    }
    guard held.generation == object.generation else {
      return refused(Refusal(.stale), "the object was replaced; only a new open helps")
    }
    let asked = OpenRequest(
      subject: subject, object: channel.objectName, operations: held.operations, descendsFromHolder: true,
      ancestors: ancestors(of: pid) + [holder])
    let authorization: Authorization
    let facts = machineFacts()
    switch policy.judge(
      revalidation: asked, application: applicationNames[held.application] ?? "", authority: authority, facts: facts)
    {
    case .refused(let refusal):
      return .refused(
        refusal.told, cause: refusal.cause.text, nearest: refusal.nearest,
        judged: Circumstances(
          .revalidation, held.operations, subject: subject, facts: facts, descendsFromHolder: true, refusal: refusal))
    case .authorized(let granted): authorization = granted
    }
    let isOwn = holder.tgid == subject.process.tgid && holder.start == subject.process.start
    let now = Clock.boottime()
    let wanted = RevalidationRequest(
      process: subject.process, object: objectID, application: held.application,
      generation: object.generation, ancestors: lineage.ancestors, lineage: isOwn ? .none : lineage.kind,
      forked: Broker.forkedBy(subject.process), processes: authorization.processes, path: .mediated,
      expiry: authorization.deadline(madeAt: now) ?? 0, message: authorization.message)
    let association: AssociationRecord
    do {
      association = try entity.revalidate(wanted, now: now)
    } catch {
      return .refused(
        error, cause: "the entity refused", nearest: nil,
        judged: Circumstances(
          .revalidation, held.operations, subject: subject, facts: facts, descendsFromHolder: true))
    }
    guard !channel.session.isRecalled else {
      undo(association)
      return refused(Refusal(.stale, message: authorization.message), "the object was closed")
    }
    return .joined(association, authorization)
  }

  /// Makes `channel` the new holder's.
  func take(
    _ channel: ObjectChannel, _ association: AssociationRecord, _ authorization: Authorization, _ entry: ProcessEntry
  ) {
    let presented = channel.lineageHolder
    if let previous = channel.association, previous != association.id {
      associationOwners[previous]?.channels.remove(channel.id)
    }
    channel.association = association.id
    channel.holder = association.process
    channel.lineageHolder = association.process
    if let presented, presented != association.process { forgetEvidence(of: presented) }
    channel.auditDetail = authorization.rule.audit
    hold(association, by: entry, authorization, channel: channel, uid: entry.subject.effectiveUID ?? .max)
  }

  /// `on-fork: inherit`: the first instruction of a descended process on a channel of its own binds it, once.
  ///
  /// Where it does not, the check that follows finds no association, and asking (`revalidate`) tells why. The
  /// instruction does not wait for the record of the association, as that of an open does; the association ends if its
  /// record cannot be written.
  func bindInherited(_ sender: SenderCredentials?, on channel: ObjectChannel) {
    guard let sender, channel.holder == nil, let holder = channel.lineageHolder,
      let held = entity.record(for: channel.session.objectID, process: holder), inherits(held, channel.objectName),
      let asker = pinned(sender.pid)
    else { return }
    let subject = asker.subject
    let executablePath = asker.executablePath
    guard entity.record(for: held.object, process: subject.process) == nil, asker.pin.state() == .current,
      case .joined(let association, let authorization) = join(channel, as: subject)
    else { return }
    let entry = processEntry(subject, executablePath, asker.takePin())
    take(channel, association, authorization, entry)
    let token = nextGrantToken
    if submit(.revalidate, association, entry, authorization) {
      // Nobody waits for it: no connection has the number 0.
      pendingGrants[token] = PendingGrant(
        connection: 0, request: 0, answer: .revalidated(association.id, channel: channel.id))
      interpreter.armFirst(channel, observer: self)
    } else {
      withdraw(.revalidated(association.id, channel: channel.id))
    }
  }

  /// A grant whose rule changes takes its associations with it, so the policy of now is the one they were made under.
  private func inherits(_ held: AssociationRecord, _ object: String) -> Bool {
    policy.grants.contains {
      $0.object == object && $0.onFork == .inherit && $0.application == applicationNames[held.application]
    }
  }
}

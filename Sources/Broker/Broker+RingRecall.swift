import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Policy
import Wire

extension Broker {
  /// A hand has said something, or has ended.
  func ringReady(_ id: UInt64) {
    observeProcesses()
    while let use = ringUses[id] {
      do throws(SystemError) {
        switch try use.next() {
        case .wouldBlock: return
        case .ready(let answer): heard(answer, from: use)
        }
      } catch { return handEnded(use) }
    }
  }

  private func heard(_ answer: RingAnswer, from use: RingUse) {
    switch (answer, use.stage) {
    case (.prepared(let device), .preparing):
      use.device = device
      associateRing(use)
    case (.given, .filling): filled(use)
    case (.refused(let refusal), .preparing):
      // The hand is charged for until it has ended: a child of its may wait for the ring's lock.
      use.stage = .refused
      if let asker = use.asker { refuse(asker, Refusal(.refused, detail: .pathUnavailable), refusal.text) }
      use.asker = nil
    case (.refused(let refusal), .filling):
      use.outcome = .recalled
      couldNotFill(use, refusal.text)
    // The hand waits for the order to empty it.
    case (.unknown, .filling): couldNotFill(use, "it is not known whether the object came into the ring")
    case (.recalled, _): heardRecalled(use)
    case (.embodimentRecalled, _):
      embodimentEnded(use)
      settle(use, .recalled)
    case (.stuck(let errno), _):
      stuck(use, "what is in the ring cannot be made useless: \(SystemError.symbol(of: errno))")
    // Said before it heard that the ring is to be emptied.
    case (.prepared, _), (.given, _), (.refused, _), (.unknown, _): break
    }
  }

  /// Associations have ended: their rings are emptied, by `patience` (nanoseconds) or else what is in them is taken back.
  ///
  /// A socket that others have in their rings as well stays theirs where its holder gave it up by itself or ended; else it is
  /// taken from all.
  func emptyRings(of record: AssociationRecord, cause: DropCause, patience: UInt64) {
    for use in ringUses.values where use.association == record.id {
      if case .emptying = use.stage { continue }
      if case .filling(let waiting, let request) = use.stage, let connection = connections[waiting] {
        answer(connection, request, .refused(RefusedReply(Refusal(.revoked))))
      }
      empty(use, keepsSocket: keepsForOthers(use, record, cause), patience: patience)
    }
  }

  /// Nanoseconds that emptying a ring may take, where nobody has said, before what is in it is taken back.
  static let ringPatience: UInt64 = 500_000_000

  private func empty(_ use: RingUse, keepsSocket: Bool, patience: UInt64) {
    use.stage = .emptying
    use.isShared = keepsSocket
    do throws(SystemError) {
      try use.recall(deadline: Clock.boottime() + max(patience, 1), isShared: keepsSocket)
    } catch { handEnded(use) }
  }

  /// One ring, or one descriptor of the path direct, of an association is given up; with the last one that ends.
  func giveUp(_ ring: UInt64, of association: AssociationID, reason: Reason) {
    guard let owner = associationOwners[association] else { return }
    associationOwners[association]?.opens -= 1
    if owner.opens <= 1 {
      ended(
        entity.drop(AssociationSelector(association: association), as: .dropped), cause: .closed, reason: reason)
    } else {
      emptyRing(ring, of: association)
    }
  }

  /// One of several rings of a process with the same object is given up: the association and the others stay.
  ///
  /// - Parameter id: 0, or one that is not this association's: nothing happens.
  private func emptyRing(_ id: UInt64, of association: AssociationID) {
    guard let use = ringUses[id], use.association == association, case .filled = use.stage else { return }
    leaveSession(use)
    let keepsSocket = use.session.object is SocketObject && !use.session.users.isEmpty
    empty(use, keepsSocket: keepsSocket, patience: Self.ringPatience)
  }

  /// A socket of the ring's own goes with it; another ring of this association can have the same one.
  private func leaveSession(_ use: RingUse) {
    guard let association = use.association else { return }
    let isShared = ringUses.values.contains { other in
      other !== use && other.association == association && other.session === use.session
    }
    if !isShared { use.session.users.remove(association) }
  }

  private func keepsForOthers(_ use: RingUse, _ record: AssociationRecord, _ cause: DropCause) -> Bool {
    guard use.session.object is SocketObject, use.session.users.contains(where: { $0 != record.id }) else {
      return false
    }
    switch cause {
    case .exit, .exec, .closed:
      ringLeavers[use.session.id, default: RingLeavers()].add(
        RingLeaver(
          object: record.object, application: use.application, process: record.process,
          expiry: record.expiry == 0 ? .max : record.expiry))
      return true
    case .expiry, .reload, .replaced, .revoke: return false
    }
  }

  /// Nobody is left to empty the ring. It is empty if it was never filled.
  private func handEnded(_ use: RingUse) {
    switch use.stage {
    case .preparing:
      abandon(use)
      if let asker = use.asker { refuse(asker, Refusal(.undecidable), "the ring's hand has ended") }
    case .recording:
      leaveSession(use)
      forget(use)
    case .refused: forget(use)
    // Each ends the association, which comes back here to empty the ring.
    case .filling: couldNotFill(use, "the ring's hand has ended")
    case .filled:
      if let association = use.association {
        ended(
          entity.drop(AssociationSelector(association: association), as: .dropped), cause: .closed,
          reason: .undecidable)
      }
    case .emptying:
      if use.outcome == .recalled { forget(use) } else { takeBackByAnother(use) }
    }
  }

  /// Nobody can use what was in the ring.
  func heardRecalled(_ use: RingUse) {
    if !use.isShared { embodimentEnded(use) }
    settle(use, .recalled)
    forget(use)
  }

  private func forget(_ use: RingUse) {
    ringUses[use.id] = nil
    if let number = use.number { try? epoll.remove(number) }
    closeIfUnused(use.session)
  }

  private func settle(_ use: RingUse, _ outcome: RevocationRow.Outcome) {
    use.outcome = outcome
    settleRevokes()
  }

  /// The socket is of no use to anybody any more: who shares it loses it too, and the next open makes another one.
  private func embodimentEnded(_ use: RingUse) {
    guard use.session.object is SocketObject, sessions[use.session.id] != nil else { return }
    // It was taken from those who left, too.
    ringLeavers[use.session.id] = nil
    endSharing(use.session)
  }

  /// The associations that have the session's socket end with it.
  func endSharing(_ session: Session) {
    let sharing = session.users.compactMap { associationOwners[$0]?.id }
    retire(session)
    for association in sharing {
      ended(
        entity.drop(AssociationSelector(association: association), as: .stale), cause: .replaced, reason: .stale)
    }
  }

  /// Neither the ring nor what is in it could be taken back yet.
  func stuck(_ use: RingUse, _ why: String) {
    var failed = record(.privileged)
    if let holder = use.holder { failed.describe(holder) }
    failed.object = objects[use.object].map { ByteString($0.definition.name) }
    failed.path = .ring
    failed.message = ByteString("cannot recall: \(why)")
    _ = journal.submit(failed, durability: .none)
    if use.killsStuck, use.number != nil, let holder = use.holder,
      let entry = processes[Int32(bitPattern: holder.tgid)],
      entry.resource.start == holder.start
    {
      // With it the lock is free, and the hand goes on.
      try? entry.pin.send(signal: SignalNumber.kill)
      return
    }
    settle(use, .cannotRecall(why: why))
  }
}

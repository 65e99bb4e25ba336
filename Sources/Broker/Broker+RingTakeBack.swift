import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Supervision
import Wire

/// Somebody who had a socket in a ring that others keep in theirs. Everything was taken out of the ring, but what its threads had
/// not come to yet is in no table of the kernel's (ARCHITECTURE, the ring path): the next end that is not their own doing takes
/// the socket from all.
struct RingLeaver {
  var object: ObjectID
  /// nil: more have left than are remembered one by one, and any may be meant.
  var application: String?
  var process: ProcessResource?
  /// Boottime nanoseconds: when it would have ended.
  var expiry: UInt64
}

struct RingLeavers {
  private static let bound = 64
  private(set) var all: [RingLeaver] = []

  var nextExpiry: UInt64 { all.reduce(.max) { min($0, $1.expiry) } }

  mutating func add(_ leaver: RingLeaver) {
    guard all.count >= Self.bound else { return all.append(leaver) }
    let last = min(all.last?.expiry ?? .max, leaver.expiry)
    all[Self.bound - 1] = RingLeaver(object: leaver.object, application: nil, process: nil, expiry: last)
  }
}

extension Broker {
  /// Another hand takes back what is in a ring whose own was killed, or in nobody's.
  func takeBackByAnother(_ use: RingUse) {
    let order = RingOrder(
      ring: use.device, embodiment: use.embodiment, opcodes: use.opcodes, deadline: 0, isTakingBack: true)
    if let number = use.number { try? epoll.remove(number) }
    use.replaceHand(nil)
    do throws(SystemError) {
      guard use.attempts < 3 else { throw SystemError(errno: ErrorCode.inputOutput, operation: "hand") }
      use.attempts += 1
      let hand = try anotherHand(order, use)
      try epoll.add(hand.number, .readable, token: Token.ring(use.id).rawValue)
      use.replaceHand(hand)
    } catch {
      if use.recallSocketHere() { return heardRecalled(use) }
      let queue = supervision
      let id = use.id
      if use.recallDiskHere({ queue.post(.ringTakenBack(id, $0)) }) { return }
      stuck(use, "the ring's hand has ended, and there is no other: \(error)")
    }
  }

  /// What became of taking a disk back without a hand.
  func ringTakenBack(_ id: UInt64, _ error: SystemError?) {
    guard let use = ringUses[id], case .emptying = use.stage, use.number == nil else { return }
    guard let error else { return heardRecalled(use) }
    stuck(use, "the ring's hand has ended, and there is no other: \(error)")
  }

  private func anotherHand(_ order: RingOrder, _ use: RingUse) throws(SystemError) -> RingHand {
    // It needs no application's ring; the order has room for three descriptors.
    let own = try ProcessPin.handle(of: Confinement.processID)
    switch ringHands {
    case .some(let hands): return try use.hand(from: hands, order, own)
    case .none: throw SystemError(errno: ErrorCode.notSupported, operation: "ring")
    }
  }

  /// Takes a socket, which is about to be closed here, from everybody who has it in a ring or had.
  func takeBack(_ session: Session, from leavers: RingLeavers) {
    guard let socket = session.object as? SocketObject, let descriptor = try? socket.lend() else { return }
    let use = RingUse(
      id: nextRing, object: session.objectID, session: session, authorization: nil, opcodes: RingOpcodes(rawValue: 0),
      uid: 0, range: nil, asker: nil, embodiment: .socket, embodied: descriptor, hand: nil)
    nextRing += 1
    use.stage = .emptying
    use.holder = leavers.all.first?.process
    use.application = leavers.all.first?.application
    ringUses[use.id] = use
    takeBackByAnother(use)
  }

  /// Takes their sockets from those who have left them and from those who share them yet.
  func takeBackFromLeavers(where isMeant: (RingLeaver) -> Bool) {
    for (id, leavers) in ringLeavers where leavers.all.contains(where: isMeant) {
      guard let session = sessions[id] else { continue }
      endSharing(session)
    }
  }

  /// Starts on what earlier ends have left in rings, as far as an order names it.
  func ringLeftovers(named isNamed: (FormerHolder) -> Bool) -> [RingUse] {
    let before = nextRing
    takeBackFromLeavers { leaver in
      guard let application = leaver.application, let process = leaver.process else { return true }
      return isNamed(
        FormerHolder(object: leaver.object, path: .ring, application: application, process: process, killsStuck: false))
    }
    let stuck = ringUses.values.filter { use in
      guard use.id < before, case .emptying = use.stage, let outcome = use.outcome, outcome != .recalled,
        let process = use.holder
      else { return false }
      return isNamed(
        FormerHolder(
          object: use.object, path: .ring, application: use.application ?? "", process: process,
          killsStuck: use.killsStuck))
    }
    for use in stuck {
      use.outcome = nil
      use.attempts = 0
      // A hand that is there goes on trying by itself.
      if use.number == nil { takeBackByAnother(use) }
    }
    return stuck + ringUses.values.filter { $0.id >= before }
  }

  /// The process that hands are forked from has ended. Its hands go on; there are no new ones.
  func ringHandsEnded() {
    switch ringHands {
    case .some(let hands): try? epoll.remove(hands.number)
    case .none: break
    }
    direct?.kernel.forgetHands()
    guard ringObstacle == nil else { return }
    ringObstacle = "the process that holds rings has ended; posternd has to be started again"
    var noted = record(.privileged)
    noted.path = .ring
    noted.message = "the process that holds rings has ended"
    _ = journal.submit(noted, durability: .none)
  }
}

import Authority
import Instructions
import Linux
import Mediation
import Wire

/// What a ring is wanted for.
enum RingPurpose {
  case open(Open, Authorization)
  /// By a process that descends from a holder.
  case revalidation(ObjectID)
}

/// One application's ring, held by a hand, from the enrolment to its end. Confined to the broker's thread.
final class RingUse {
  enum Stage {
    /// The hand restricts it.
    case preparing
    /// The record of the grant is on its way to the disk.
    case recording
    /// The hand puts the object into it; whoever waits for that.
    case filling(connection: UInt64, request: UInt64)
    case filled
    /// It is being emptied.
    case emptying
    /// Nothing was put into it; the hand waits for a child of its own yet.
    case refused
  }

  /// Who asked for it, until there is an association.
  struct Asker {
    var connection: UInt64
    var request: UInt64
    var purpose: RingPurpose
    var pending: ControlConnection.Pending
  }

  let id: UInt64
  let object: ObjectID
  let session: Session
  /// What the ring and what is put into it were made for; nil: nothing is put into one.
  let authorization: Authorization?
  let opcodes: RingOpcodes
  /// Whose descriptors and processes it costs.
  let uid: UInt32
  /// The part of a disk that is granted.
  let range: ByteRange?
  let embodiment: RingOrder.Embodiment
  /// What was given to the hand, to take it back by where that is killed.
  private let embodied: Descriptor
  /// The number of a disk's loop device.
  var device: Int32 = -1
  /// The same, to take it back by where the hands were killed and there will be no other.
  private var loop: RingDevice?
  private var hand: RingHand?
  /// Others keep the socket.
  var isShared = false
  /// How many other hands were asked for after the first was killed.
  var attempts = 0
  var application: String?
  var asker: Asker?
  var stage = Stage.preparing
  var association: AssociationID?
  var holder: ProcessResource?
  /// `on-stuck-revoke: kill`
  var killsStuck = false
  /// What became of emptying it; nil: nothing yet.
  var outcome: RevocationRow.Outcome?

  init(
    id: UInt64, object: ObjectID, session: Session, authorization: Authorization?, opcodes: RingOpcodes, uid: UInt32,
    range: ByteRange?,
    asker: Asker?, embodiment: RingOrder.Embodiment, embodied: consuming Descriptor, hand: consuming RingHand?
  ) {
    self.id = id
    self.object = object
    self.session = session
    self.authorization = authorization
    self.opcodes = opcodes
    self.uid = uid
    self.range = range
    self.asker = asker
    self.embodiment = embodiment
    self.embodied = embodied
    self.hand = consume hand
  }

  /// The hand's descriptor, for epoll.
  var number: Int32? {
    switch hand {
    case .some(let hand): hand.number
    case .none: nil
    }
  }

  /// - Throws: ESHUTDOWN where the hand has ended.
  func next() throws(SystemError) -> Availability<RingAnswer> {
    switch hand {
    case .some(let hand): return try hand.next(device: &loop)
    case .none: throw SystemError(errno: ErrorCode.noSuchProcess, operation: "recv")
    }
  }

  func give() throws(SystemError) {
    switch hand {
    case .some(let hand): try hand.give()
    case .none: throw SystemError(errno: ErrorCode.noSuchProcess, operation: "send")
    }
  }

  func recall(deadline: UInt64, isShared: Bool) throws(SystemError) {
    switch hand {
    case .some(let hand): try hand.recall(deadline: deadline, isShared: isShared)
    case .none: throw SystemError(errno: ErrorCode.noSuchProcess, operation: "send")
    }
  }

  func replaceHand(_ other: consuming RingHand?) { hand = other }

  func hand(
    from hands: borrowing RingHands, _ order: RingOrder, _ process: borrowing Descriptor
  ) throws(SystemError) -> RingHand {
    try hands.hand(order, application: process, object: embodied)
  }

  /// Without a hand. false: it is no socket.
  func recallSocketHere() -> Bool {
    guard embodiment == .socket else { return false }
    do throws(SystemError) { try embodied.recallSocket() } catch {
      // The broker may put no filter on a tcp socket, which keeps others from listening again. There is no request for that.
      guard let socket = try? SocketDescription(of: embodied) else { return false }
      return socket.isStream && !socket.isListening
    }
    return true
  }

  /// Without a hand, on a thread of its own, since a device is waited for. false: it is no disk, or there is no thread.
  func recallDiskHere(_ done: @escaping @Sendable (SystemError?) -> Void) -> Bool {
    guard case .disk(_, let length, _) = embodiment, let loop else { return false }
    let thread = try? Thread("ring") {
      do throws(SystemError) { try loop.recall(length: length) } catch { return done(error) }
      done(nil)
    }
    return thread != nil
  }
}

import Instructions
import Linux
import Wire

/// An object on the path ring: in a slot of an io_uring(7) that takes nothing but what is granted. Its descriptor never is in
/// this process. Operations are requests on the ring; the kernel checks which, and each is copied once.
///
/// Fork-safe: a forked child has no ring; its first call revalidates and gets it one of its own.
public final class RingObject: OpenedObject {
  public let object: String
  let connection: PosternConnection
  let kind: ObjectKind
  /// Bytes of the object's range; 0: it has none.
  let rangeLength: UInt64
  let state: ForkSafeLock<RingState>

  init(_ connection: PosternConnection, object: String, enrolled: EnrolledRing) throws(PosternError) {
    self.object = object
    self.connection = connection
    kind = enrolled.facts.kind
    rangeLength = enrolled.facts.rangeLength
    do { state = try ForkSafeLock(RingState(enrolled)) } catch {
      throw .failed(errno: error.errno, text: "\(error)")
    }
  }

  deinit {
    guard !ForkHandlers.missedFork else { return }
    end()
  }

  /// The ring's; readable while completions wait, and in a forked child that has none yet. -1 once closed.
  public var number: Int32 { ForkHandlers.missedFork ? -1 : current { $0.ring ?? $0.former }?.number ?? -1 }

  public var facts: ChannelFacts { current { $0.facts } }

  /// Gives up the association; the broker empties the ring, and with that calls of other threads end.
  public func close() throws(PosternError) {
    guard !ForkHandlers.missedFork else { return }
    guard end() else { throw Self.closed }
  }

  /// false: it was closed already.
  @discardableResult
  private func end() -> Bool {
    let (wasOpen, association, number) = current { state -> (Bool, AssociationID?, UInt64) in
      defer {
        state.isClosed = true
        state.facts.association = nil
      }
      return (!state.isClosed, state.facts.association, state.ringID)
    }
    if let association { connection.release(association, ring: number) }
    guard wasOpen else { return false }
    // The kernel writes to the memory of what is under way until it has completed, which the broker's emptying sees to.
    let limit = Clock.monotonic() &+ 2_000_000_000
    while let ring = current({ $0.inFlight.isEmpty ? nil : $0.ring }), Clock.monotonic() < limit {
      try? ring.wait(nanoseconds: 20_000_000)
      collect(ring)
    }
    let (ring, former, abandoned) = current { state -> (ClientRing?, ClientRing?, [RingParcel]) in
      defer {
        state.ring = nil
        state.former = nil
      }
      return (state.ring, state.former, state.inFlight.values.compactMap(\.parcel))
    }
    // A broker that is gone may not have emptied it; the memory then has to stay.
    if !abandoned.isEmpty { AbandonedRings.keep(ring, abandoned) }
    _ = (ring, former)
    return true
  }

  /// Calls `body` with the state as this process has it. What it drops is dropped afterwards (`ForkSafeLock`).
  func current<Value: Sendable>(_ body: (inout RingState) -> Value) -> Value {
    let (value, dropped) = state.withLock { state in
      let dropped = state.adopt()
      return (body(&state), dropped)
    }
    _ = consume dropped
    return value
  }

  static var closed: PosternError { .usage(errno: SystemError.badDescriptor, text: "the object is closed") }
}

/// Rings with requests that nobody could end: never freed.
enum AbandonedRings {
  private struct Kept: Sendable {
    var ring: ClientRing?
    var parcels: [RingParcel]
  }

  private static let kept = try? ForkSafeLock<[Kept]>([])

  static func keep(_ ring: ClientRing?, _ parcels: [RingParcel]) {
    kept?.withLock { $0.append(Kept(ring: ring, parcels: parcels)) }
  }
}

/// What the threads that use an object share.
struct RingState: Sendable {
  /// A request that the kernel has.
  struct InFlight: Sendable {
    var parcel: RingParcel?
    /// nil: a thread waits for it.
    var submitted: Submission?
  }

  private var generation: UInt64
  var facts: ChannelFacts
  /// It sends to one place, which no request names.
  var isConnected: Bool
  /// The broker's number of the ring.
  var ringID: UInt64
  /// nil in a forked child before it was revalidated, and once closed.
  var ring: ClientRing?
  /// The parent's, in a forked child until it has one of its own: it keeps the number.
  var former: ClientRing?
  var isClosed = false
  /// One thread is revalidating.
  var isRecovering = false
  /// Counts revalidations, so that threads which fail together ask once.
  var epoch: UInt64 = 0
  /// One thread takes what completes, or waits in the kernel for it; the others wait for that one.
  var isCollecting = false
  /// 0 is for requests whose completion nobody looks at.
  var nextNumber: UInt64 = 1
  var inFlight: [UInt64: InFlight] = [:]
  /// For threads that wait.
  var finished: [UInt64: Int32] = [:]
  /// Of submitted instructions, not collected yet.
  var completed: [Completion] = []

  init(_ enrolled: EnrolledRing) {
    self.init(
      ChannelFacts(enrolled.facts), isConnected: enrolled.facts.isConnected, ringID: enrolled.facts.ring, enrolled.ring)
  }

  private init(_ facts: ChannelFacts, isConnected: Bool, ringID: UInt64, _ ring: ClientRing?) {
    generation = ForkHandlers.generation
    self.facts = facts
    self.isConnected = isConnected
    self.ringID = ringID
    self.ring = ring
  }

  /// In a forked child: what the parent's threads were doing does not happen here; its ring and association are not ours.
  ///
  /// - Returns: what is to be dropped once the lock is free.
  mutating func adopt() -> [UInt64: InFlight]? {
    guard generation != ForkHandlers.generation else { return nil }
    let dropped = inFlight
    let (epoch, isClosed, former) = (epoch, isClosed, ring ?? former)
    self = RingState(facts, isConnected: isConnected, ringID: ringID, nil)
    self.former = former
    self.epoch = epoch &+ 1
    self.isClosed = isClosed
    facts.association = nil
    return dropped
  }

  mutating func number() -> UInt64 {
    defer { nextNumber &+= 1 }
    return nextNumber
  }
}

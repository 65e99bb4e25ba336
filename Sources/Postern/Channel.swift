import Instructions
import Linux
import Wire

/// An object on the path mediated: instructions go in, completions come back, and poll(2) on `number` says when it is
/// worth asking.
///
/// Thread-safe: any number of threads may call at once, each gets its own answer. Fork-safe: the first call in a forked
/// child gets the child a channel of its own; what the broker lets it do is for the broker to say.
/// It is close-on-exec, and closed with its last reference.
public final class Channel: OpenedObject {
  /// The object's name as it was opened.
  public let object: String
  let connection: PosternConnection
  let socket: ClientDescriptor
  let state: ForkSafeLock<ChannelState>

  init(
    _ connection: PosternConnection, object: String, facts: ChannelFacts, descriptor: consuming Descriptor
  ) throws(PosternError) {
    self.object = object
    self.connection = connection
    do {
      socket = try ClientDescriptor(descriptor, inChild: .inherited)
      state = try ForkSafeLock(ChannelState(facts))
    } catch {
      throw .failed(errno: error.errno, text: "\(error)")
    }
  }

  /// The descriptor to poll; readable: a completion or notification waits. -1 once closed.
  public var number: Int32 { socket.number }

  /// What the broker told when it gave the channel out or revalidated it.
  public var facts: ChannelFacts { state.withLock { $0.facts } }

  /// Why the broker said last, by itself, that this process's association ended: revoked, expired or stale. The next
  /// call asks the broker all the same.
  public var endedBecause: Reason? { state.withLock { $0.changed } }

  /// Closes the descriptor now. Calls that threads are blocked in go on, as with close(2).
  ///
  /// - Throws: `usage(EBADF)` where the application has closed the number itself.
  public func close() throws(PosternError) {
    do { try socket.close() } catch { throw .usage(errno: error.errno, text: "the descriptor is closed") }
  }
}

/// What the threads that use a channel share.
struct ChannelState: Sendable {
  /// What a thread waits for that is not the one receiving.
  enum Slot: Sendable {
    case waiting
    case arrived(Delivery)
  }

  /// An instruction whose completion nobody waits for.
  struct Submitted: Sendable {
    var token: UInt64
    var shape: Shape
  }

  var generation: UInt64
  var facts: ChannelFacts
  /// A forked child that has no channel of its own yet.
  var needsAdoption = false
  /// One thread is adopting or revalidating.
  var isRecovering = false
  /// Counts revalidations, so that threads which fail together ask once.
  var epoch: UInt64 = 0
  var nextCookie: UInt64
  /// One thread receives for all.
  var isReceiving = false
  var expected: [UInt64: Slot] = [:]
  var submitted: [UInt64: Submitted] = [:]
  var completed: [Completion] = []
  /// nil while a thread receives into it.
  var buffer: [UInt8]?
  /// The broker will send `ready` when the object is; it does so by itself once after an open.
  var isArmed = true
  var changed: Reason?
  /// Set once the channel is of no further use.
  var failure: PosternError?

  init(_ facts: ChannelFacts) {
    generation = ForkHandlers.generation
    self.facts = facts
    // Random, so that a child that shares the channel by mistake does not take its parent's answers for its own.
    nextCookie = UInt64.random(in: 1...UInt64.max)
  }

  /// In a forked child: the other threads do not exist, and what they waited for goes to the parent.
  mutating func becomeChild() {
    let epoch = epoch
    self = ChannelState(facts)
    self.epoch = epoch &+ 1
    needsAdoption = true
  }

  /// Consecutive numbers, never 0: that is what `changed` carries.
  mutating func cookies(_ count: Int) -> UInt64 {
    if nextCookie &+ UInt64(count) < nextCookie || nextCookie == 0 { nextCookie = 1 }
    defer { nextCookie &+= UInt64(count) }
    return nextCookie
  }

  mutating func takeBuffer() -> [UInt8] {
    let taken = buffer ?? [UInt8](repeating: 0, count: Bounds.completionDatagram)
    buffer = nil
    return taken
  }

  /// Operations that can have to wait for the object, so that its readiness means something.
  var isPollable: Bool { !facts.operations.isDisjoint(with: OperationSet([.accept, .receive, .wait])) }
}

import Instructions
import Linux
import Wire

/// An object on the path direct: its own descriptor. Operations are plain system calls, and the kernel checks each one.
///
/// What follows from that: the descriptor's readiness is the object's own; operations wait or not as its O_NONBLOCK says;
/// poll(2), fsync(2) and lseek(2) are not checked. Fork-safe: a forked child has the descriptor too, and the kernel
/// refuses its use until the child has an association of its own.
public final class DirectObject: OpenedObject {
  public let object: String
  let connection: PosternConnection
  let kind: ObjectKind
  /// Bytes of the object's range; 0: it has none.
  let rangeLength: UInt64
  let descriptor: DirectDescriptor
  let state: ForkSafeLock<DirectState>
  /// nil for what an open gave out; a view of that makes calls for it that are not repeated after a revalidation.
  let original: DirectObject?

  init(
    _ connection: PosternConnection, object: String, facts: ChannelFacts, descriptor: consuming Descriptor
  ) throws(PosternError) {
    guard facts.channel == 0 else { throw .violation(.badValue(.identity)) }
    self.object = object
    self.connection = connection
    original = nil
    kind = facts.kind
    rangeLength = facts.rangeLength
    do {
      self.descriptor = try DirectDescriptor(descriptor)
      state = try ForkSafeLock(DirectState(facts))
    } catch {
      throw .failed(errno: error.errno, text: "\(error)")
    }
  }

  init(viewing original: DirectObject) {
    self.original = original
    object = original.object
    connection = original.connection
    kind = original.kind
    rangeLength = original.rangeLength
    descriptor = original.descriptor
    state = original.state
  }

  deinit {
    guard original == nil, !ForkHandlers.missedFork else { return }
    try? descriptor.close()
    release()
  }

  public var number: Int32 { descriptor.number }

  public var facts: ChannelFacts { current { $0.facts } }

  /// Closes the descriptor, then tells the broker that this process is done with the object, which takes a fraction of a
  /// second where the broker does not answer.
  public func close() throws(PosternError) {
    // The memory that says what is open belongs to the parent.
    guard !ForkHandlers.missedFork else { return descriptor.closeNumber() }
    // Where the application has closed the number itself, the association is of no use either.
    defer { release() }
    do { try descriptor.close() } catch {
      throw .usage(errno: SystemError.badDescriptor, text: "the descriptor is closed")
    }
  }

  /// Gives up this process's own association, once. A forked child without one has nothing to give up.
  private func release() {
    let association = current { state in
      defer { state.facts.association = nil }
      return state.facts.association
    }
    if let association { connection.release(association) }
  }

  /// Calls `body` with the state as this process has it.
  func current<Value: Sendable>(_ body: (inout DirectState) -> Value) -> Value {
    state.withLock { state in
      state.adopt()
      return body(&state)
    }
  }
}

/// What the threads that use an object share.
struct DirectState: Sendable {
  private var generation: UInt64
  var facts: ChannelFacts
  /// One thread is revalidating.
  var isRecovering = false
  /// Counts revalidations, so that threads which fail together ask once.
  var epoch: UInt64 = 0
  /// Of submitted instructions, not collected yet.
  var completed: [Completion] = []

  init(_ facts: ChannelFacts) {
    generation = ForkHandlers.generation
    self.facts = facts
  }

  /// In a forked child: what the parent's threads were doing does not happen here, and its association is not ours.
  mutating func adopt() {
    guard generation != ForkHandlers.generation else { return }
    let epoch = epoch
    self = DirectState(facts)
    self.epoch = epoch &+ 1
    facts.association = nil
  }
}

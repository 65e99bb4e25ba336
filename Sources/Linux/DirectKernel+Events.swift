import CLinux
import Instructions
import KernelEntity

/// What a hook has told.
public struct DirectEvent: Sendable, Hashable {
  public enum Kind: UInt32, Sendable, Hashable {
    case refused = 1
    case used = 2
    /// An association was made, by on-fork: inherit or on-exec: keep.
    case bound = 3
    /// A process without an association received the descriptor.
    case received = 4
    /// Somebody wanted one of the broker's own things.
    case guarded = 5
  }

  public var kind: Kind
  /// Boottime nanoseconds.
  public var time: UInt64
  public var reason: Reason?
  public var opcode: Opcode?
  public var operands: Operands
  public var object: ObjectID
  public var generation: UInt32
  /// As the kernel names it.
  public var process: ProcessResource
  /// bound: whose association it derives from.
  public var ancestor: ProcessResource
  public var thread: UInt32
  public var uid: UInt32
  public var executable: ProcessFacts.File?
  /// Through which hook, in a word or two.
  public var door: String
  /// The task's name, for people; any bytes.
  public var command: [UInt8]
}

/// Refusals that the kernel has counted.
public struct DirectCounters: Sendable, Hashable {
  /// By reason.
  public var refusals: [Reason: UInt64]
  public var used: UInt64
  public var bound: UInt64
  public var received: UInt64
  public var guarded: UInt64
  /// By reason: counted, and not described, because the buffer was full.
  public var lostRefusals: [Reason: UInt64]
  public var lostOthers: UInt64

  public var refused: UInt64 { refusals.values.reduce(0, +) }
}

extension DirectKernel {
  /// Readable while events wait; for epoll(7). -1: there are no hooks.
  // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
  public var eventsNumber: Int32 { withKernel { unsafe clinux_direct_events_number($0) } }

  /// Takes up to `capacity` events.
  public func takeEvents(upTo capacity: Int) throws(SystemError) -> [DirectEvent] {
    var room = [postern_direct_event](repeating: postern_direct_event(), count: capacity)
    let result = unsafe room.withUnsafeMutableBufferPointer { buffer in
      // SAFETY: the buffer has `capacity` elements and outlives the call.
      withKernel { unsafe clinux_direct_take_events($0, buffer.baseAddress, capacity) }
    }
    guard result >= 0 else { throw SystemError(errno: -result, operation: "take events") }
    return room.prefix(Int(result)).compactMap(DirectEvent.init)
  }

  public func counters() throws(SystemError) -> DirectCounters {
    var values = [UInt64](repeating: 0, count: Int(POSTERN_COUNTER_COUNT))
    let result = unsafe values.withUnsafeMutableBufferPointer { buffer in
      // SAFETY: the C side writes POSTERN_COUNTER_COUNT numbers.
      withKernel { unsafe clinux_direct_counters($0, buffer.baseAddress) }
    }
    guard result == 0 else { throw SystemError(errno: -result, operation: "counters") }
    var refusals: [Reason: UInt64] = [:]
    var lost: [Reason: UInt64] = [:]
    for reason in Reason.allCases {
      let number = Int(reason.rawValue)
      if values[number] > 0 { refusals[reason] = values[number] }
      let missing = values[Int(POSTERN_COUNTER_LOST_BY_REASON) + number]
      if missing > 0 { lost[reason] = missing }
    }
    return DirectCounters(
      refusals: refusals, used: values[Int(POSTERN_COUNTER_USED)], bound: values[Int(POSTERN_COUNTER_BOUND)],
      received: values[Int(POSTERN_COUNTER_RECEIVED)], guarded: values[Int(POSTERN_COUNTER_GUARDED)],
      lostRefusals: lost, lostOthers: values[Int(POSTERN_COUNTER_LOST_OTHERS)])
  }

  /// Lost refusals of this reason that the journal tells of, over all brokers since the programs were loaded.
  public func toldLost(_ reason: Reason) -> UInt64 {
    let count = withToldLost { told in
      // SAFETY: a reason is below 16.
      unsafe told[Int(reason.rawValue)]
    }
    return count ?? 0
  }

  public func noteToldLost(_ reason: Reason, _ count: UInt64) {
    withToldLost { told in
      // SAFETY: a reason is below 16.
      unsafe told[Int(reason.rawValue)] = count
    }
  }

  /// The same of what is no refusal.
  public var toldLostOthers: UInt64 {
    // SAFETY: its number is below 16.
    get { withToldLost { unsafe $0[Int(POSTERN_TOLD_LOST_OTHERS)] } ?? 0 }
    set { withToldLost { unsafe $0[Int(POSTERN_TOLD_LOST_OTHERS)] = newValue } }
  }

  @discardableResult
  @safe private func withToldLost<Value>(_ body: (UnsafeMutableBufferPointer<UInt64>) -> Value) -> Value? {
    withKernel { kernel in
      // SAFETY: the control is mapped while the kernel is open, and an array of 16 imported as a tuple has its layout.
      guard let control = unsafe clinux_direct_control(kernel) else { return nil }
      return unsafe withUnsafeMutableBytes(of: &control.pointee.told_lost) {
        unsafe body($0.assumingMemoryBound(to: UInt64.self))
      }
    }
  }
}

extension DirectEvent {
  init?(_ event: postern_direct_event) {
    guard let kind = Kind(rawValue: event.kind) else { return nil }
    self.kind = kind
    time = event.time
    reason = Reason(rawValue: UInt16(truncatingIfNeeded: event.reason))
    opcode = Opcode(rawValue: UInt8(truncatingIfNeeded: event.opcode))
    operands = Operands(event.operands)
    object = ObjectID(rawValue: event.object)
    generation = event.generation
    process = ProcessResource(event.process)
    ancestor = ProcessResource(event.ancestor)
    thread = event.thread
    uid = event.uid
    executable =
      event.executable_inode == 0
      ? nil
      : ProcessFacts.File(
        device: DirectKernel.device(kernel: event.executable_device), inode: event.executable_inode)
    let door = Int(event.door)
    self.door = DirectEvent.doors.indices.contains(door) ? DirectEvent.doors[door] : "?"
    command = unsafe withUnsafeBytes(of: event.command) { bytes in
      // SAFETY: copied within the closure.
      unsafe Array(bytes.prefix { $0 != 0 })
    }
  }

  /// In the order of enum postern_direct_door.
  private static let doors = [
    "", "read", "write", "ioctl", "mmap", "io_uring command", "descriptor received", "send", "receive", "accept",
    "connect", "bind", "listen", "getsockopt", "setsockopt", "shutdown", "socket name", "map", "program", "link", "pin",
    "trace",
  ]
}

extension Operands {
  init(_ operands: postern_operands) {
    self.init(offset: operands.offset, length: operands.length, request: operands.request)
    guard let family = NetworkAddress.Family(rawValue: operands.family) else { return }
    let bytes = unsafe withUnsafeBytes(of: operands.address) { bytes in
      // SAFETY: both have 16 bytes; copied within the closure.
      InlineArray<16, UInt8> { unsafe bytes[$0] }
    }
    address = NetworkAddress(family: family, bytes: bytes, port: operands.port)
  }
}

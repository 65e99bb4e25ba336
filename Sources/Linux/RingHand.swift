import CLinux
import Glibc
import Instructions

/// What a hand's ring is to hold.
public struct RingOrder: Sendable, Hashable {
  public enum Embodiment: Sendable, Hashable {
    /// The descriptor is the socket itself.
    case socket
    /// The descriptor is what a loop device of this part is made of; bytes, whole sectors.
    case disk(offset: UInt64, length: UInt64, writable: Bool)
  }

  /// The ring's descriptor in the application.
  public var ring: Int32
  public var embodiment: Embodiment
  public var opcodes: RingOpcodes
  /// Boottime nanoseconds: until then it has to be prepared.
  public var deadline: UInt64
  /// The hand that gave it is gone: what is in the ring is made useless at once, whatever has it. `ring` is the number of a
  /// disk's loop device then.
  public var isTakingBack: Bool

  public init(
    ring: Int32, embodiment: Embodiment, opcodes: RingOpcodes, deadline: UInt64, isTakingBack: Bool = false
  ) {
    self.isTakingBack = isTakingBack
    self.ring = ring
    self.embodiment = embodiment
    self.opcodes = opcodes
    self.deadline = deadline
  }
}

/// What a hand says.
public enum RingAnswer: Sendable, Hashable {
  /// The ring is restricted, enabled and empty; for a disk, the number of the loop device.
  case prepared(device: Int32)
  /// The object is in its slot.
  case given
  /// Whether it is cannot be told: the ring is to be emptied.
  case unknown
  /// The hand ends.
  case refused(RingRefusal)
  /// No request can use the object any more; the hand ends.
  case recalled
  /// The ring could not be emptied in time; what is in it is of no use any more.
  case embodimentRecalled
  /// Neither; it goes on trying.
  case stuck(errno: Int32)
}

/// Why a ring was not enrolled.
public struct RingRefusal: Sendable, Hashable {
  public var stage: UInt32
  public var errno: Int32

  /// One clause for people, without a full stop.
  public var text: String {
    let error = SystemError.symbol(of: errno)
    switch stage {
    case CLINUX_RING_TAKE.rawValue:
      return "the kernel does not let the broker take descriptor of the application (\(error))"
    case CLINUX_RING_POLLED.rawValue: return "the ring has a kernel thread of its own (IORING_SETUP_SQPOLL)"
    // A restricted ring does not answer what it is any more.
    case CLINUX_RING_PROBE.rawValue where errno == EACCES: return "the ring was enabled already, with restrictions"
    case CLINUX_RING_PROBE.rawValue: return "what was offered is no ring (\(error))"
    case CLINUX_RING_RESTRICT.rawValue where errno == EBADFD: return "the ring was enabled already"
    case CLINUX_RING_RESTRICT.rawValue where errno == EBUSY: return "the ring was restricted already"
    case CLINUX_RING_RESTRICT.rawValue: return "the kernel does not take the restrictions (\(error)); Linux 6.0 does"
    case CLINUX_RING_FILES.rawValue where errno == EBUSY: return "the ring had files already"
    case CLINUX_RING_FILES.rawValue: return "the ring takes no table of files (\(error))"
    case CLINUX_RING_ENABLE.rawValue: return "somebody else enabled the ring (\(error))"
    case CLINUX_RING_VERIFY.rawValue: return "the ring's restrictions are not in force (\(error))"
    case CLINUX_RING_OUTSIDE.rawValue where errno == EEXIST:
      return "the ring takes calls of one thread only (IORING_SETUP_SINGLE_ISSUER), so that nothing could be taken back"
    case CLINUX_RING_OUTSIDE.rawValue: return "the ring takes no files from outside (\(error))"
    case CLINUX_RING_LOOP.rawValue: return "a loop device for the range cannot be made (\(error))"
    case CLINUX_RING_LATE.rawValue: return "the application held its ring's lock for too long"
    case CLINUX_RING_PUT.rawValue: return "the object could not be put into the ring (\(error))"
    default: return "stage \(stage) (\(error))"
    }
  }
}

/// The broker's end of a hand: the process that holds one application's ring. With it the ring is emptied.
public struct RingHand: ~Copyable, Sendable {
  private let socket: Descriptor

  /// Readable when it has said something, or has ended.
  public var number: Int32 { socket.rawValue }

  init(_ socket: consuming Descriptor) { self.socket = socket }

  /// Has the object put into its slot; `given`, `unknown` or `refused` follows.
  public borrowing func give() throws(SystemError) {
    try send(clinux_ring_command(kind: CLINUX_RING_GIVE.rawValue, is_shared: 0, deadline: 0))
  }

  /// Has the ring emptied and everything in flight cancelled. `recalled` follows; before it, at `deadline` (boottime
  /// nanoseconds), `embodimentRecalled` or `stuck`.
  ///
  /// - Parameter isShared: others keep the socket, so that it is only taken out of this ring. Else it is of no use to anybody
  ///   afterwards.
  public borrowing func recall(deadline: UInt64, isShared: Bool = false) throws(SystemError) {
    try send(
      clinux_ring_command(kind: CLINUX_RING_RECALL.rawValue, is_shared: isShared ? 1 : 0, deadline: deadline))
  }

  private borrowing func send(_ command: clinux_ring_command) throws(SystemError) {
    var command = command
    let number = socket.rawValue
    let sent = try retrying("send") {
      // SAFETY: one structure of our own.
      unsafe Glibc.send(
        number, &command, MemoryLayout<clinux_ring_command>.size, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }
    guard sent == MemoryLayout<clinux_ring_command>.size else { throw SystemError(errno: EIO, operation: "send") }
  }

  /// What it has said, without waiting.
  ///
  /// - Parameter device: gets a disk's, which comes with `prepared`.
  /// - Throws: ESHUTDOWN once it has ended.
  public borrowing func next(device: inout RingDevice?) throws(SystemError) -> Availability<RingAnswer> {
    var answer = clinux_ring_answer()
    var received = clinux_received()
    let number = socket.rawValue
    let size: Int
    do {
      size = try retrying("recvmsg") {
        // SAFETY: two structures of our own.
        unsafe clinux_receive(
          number, &answer, MemoryLayout<clinux_ring_answer>.size, Int32(MSG_DONTWAIT), &received)
      }
    } catch {
      if error.errno == EAGAIN { return .wouldBlock }
      throw error
    }
    if received.descriptor_count == 1 { device = RingDevice(Descriptor(adopting: received.descriptors.0)) }
    guard size == MemoryLayout<clinux_ring_answer>.size else {
      throw SystemError(errno: ESHUTDOWN, operation: "recv")
    }
    switch answer.kind {
    case CLINUX_RING_PREPARED.rawValue: return .ready(.prepared(device: answer.device))
    case CLINUX_RING_GIVEN.rawValue: return .ready(.given)
    case CLINUX_RING_UNKNOWN.rawValue: return .ready(.unknown)
    case CLINUX_RING_REFUSED.rawValue: return .ready(.refused(RingRefusal(stage: answer.stage, errno: answer.error)))
    case CLINUX_RING_RECALLED.rawValue: return .ready(.recalled)
    case CLINUX_RING_EMBODIED.rawValue: return .ready(.embodimentRecalled)
    default: return .ready(.stuck(errno: answer.error))
    }
  }

  /// The same, for whoever has nothing else to do until `deadline` (boottime nanoseconds).
  public borrowing func next(until deadline: UInt64) throws(SystemError) -> RingAnswer {
    var device: RingDevice?
    while true {
      if case .ready(let answer) = try next(device: &device) { return answer }
      let now = Clock.boottime()
      guard now < deadline else { throw SystemError(errno: ETIMEDOUT, operation: "recv") }
      _ = try isReadable(socket.rawValue, timeoutMilliseconds: Int32(clamping: (deadline - now) / 1_000_000 + 1))
    }
  }
}

/// The process that hands are forked from.
public struct RingHands: ~Copyable, Sendable {
  private let socket: Descriptor
  private let pidfd: PeerDescriptor

  /// Readable when that process has ended.
  public var number: Int32 { socket.rawValue }

  /// Its pidfd.
  var process: Int32 { pidfd.rawValue }

  /// Runs this program's own file again with `arguments`, which has to call `serve`, and waits until it does; before the
  /// caller confines itself.
  public init(_ arguments: [String]) throws(SystemError) {
    let pair = try MessageSocket.pair()
    try OwnProcess.spawnDetached(arguments, pair.second)
    let own = pair.takeFirst()
    guard try isReadable(own.rawValue, timeoutMilliseconds: 30_000) else {
      throw SystemError(errno: ETIMEDOUT, operation: "start")
    }
    var greeting = MessageBuffer(capacity: 1)
    let received = try MessageSocket.receive(own.rawValue, into: &greeting)
    guard case .ready(let message) = consume received, let process = message.descriptor else {
      throw SystemError(errno: ESHUTDOWN, operation: "start")
    }
    socket = own
    pidfd = process
  }

  /// Has a hand made for the application's ring; `prepared` or `refused` follows.
  ///
  /// - Parameter application: its pidfd.
  public borrowing func hand(
    _ order: RingOrder, application: borrowing Descriptor, object: borrowing Descriptor
  ) throws(SystemError) -> RingHand {
    var raw = clinux_ring_order()
    raw.number = order.ring
    raw.opcodes = order.opcodes.rawValue
    raw.deadline = order.deadline
    raw.is_taking_back = order.isTakingBack ? 1 : 0
    switch order.embodiment {
    case .socket: raw.embodiment = CLINUX_RING_SOCKET.rawValue
    case .disk(let offset, let length, let writable):
      raw.embodiment = CLINUX_RING_DISK.rawValue
      raw.offset = offset
      raw.length = length
      raw.writable = writable ? 1 : 0
    }
    let pair = try MessageSocket.pair()
    let descriptors = [pair.second.rawValue, application.rawValue, object.rawValue]
    // SAFETY: the order and three numbers are read during the call.
    let result = unsafe clinux_ring_order(socket.rawValue, &raw, descriptors)
    guard result == 0 else { throw SystemError(errno: -result, operation: "sendmsg") }
    return RingHand(pair.takeFirst())
  }

  /// What the process does that `init` has started: says who it is, and forks hands until its broker has ended.
  ///
  /// - Parameter process: its own pidfd.
  public static func serve(_ socket: consuming Descriptor, _ process: consuming Descriptor) {
    if introduce(process, on: socket) { _ = clinux_ring_serve(socket.rawValue) }
  }

  private static func introduce(_ process: consuming Descriptor, on socket: borrowing Descriptor) -> Bool {
    let (number, own) = (socket.rawValue, process.rawValue)
    let sent = [UInt8]([0]).withRawSpan { try? MessageSocket.send(number, $0, descriptor: own) }
    if case .ready? = sent { return true }
    return false
  }
}

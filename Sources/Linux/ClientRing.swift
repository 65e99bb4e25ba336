import CLinux
import Glibc
import Instructions

/// An application's io_uring(7), made disabled for the broker to restrict.
///
/// Forked children do not get it: its memory is not mapped there, a socket takes its descriptor's place, and every call fails
/// with EOWNERDEAD. `push` and `take` by one thread at a time; `submit` and `wait` by any.
public final class ClientRing: Sendable {
  /// What goes into a submission; IOSQE_FIXED_FILE is added.
  public struct Request: Sendable {
    public var opcode: RingOpcode
    public var slot: Int32 = 0
    /// Or the second address.
    public var offset: UInt64 = 0
    public var address: UInt64 = 0
    public var length: UInt32 = 0
    public var operationFlags: UInt32 = 0
    public var userData: UInt64

    public init(_ opcode: RingOpcode, userData: UInt64) {
      self.opcode = opcode
      self.userData = userData
    }
  }

  public struct Completion: Sendable, Hashable {
    public var userData: UInt64
    /// A count, or a negative errno.
    public var result: Int32
    public var flags: UInt32
  }

  /// Setup flags for tests (io_uring_setup(2)).
  public struct Setup: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// IORING_SETUP_SQPOLL
    public static let polledByKernel = Setup(rawValue: 1 << 1)
    /// IORING_SETUP_SINGLE_ISSUER
    public static let singleIssuer = Setup(rawValue: 1 << 12)
  }

  private let address: UInt

  public init(entries: UInt32, setup: Setup = []) throws(SystemError) {
    var made: OpaquePointer?
    // SAFETY: the pointer is written by a call that succeeds.
    let result = unsafe clinux_ring_create(entries, setup.rawValue, &made)
    guard result == 0 else { throw SystemError(errno: -result, operation: "io_uring_setup") }
    address = UInt(bitPattern: made)
  }

  deinit {
    // SAFETY: nobody refers to it any more; requests under way have their memory from others.
    unsafe clinux_ring_destroy(ring)
  }

  private var ring: OpaquePointer? {
    // SAFETY: `address` came from a pointer that is valid while self lives.
    unsafe OpaquePointer(bitPattern: address)
  }

  /// Readable while completions wait.
  public var number: Int32 {
    // SAFETY: see `ring`.
    unsafe clinux_ring_number(ring)
  }

  /// What this kernel knows (io_uring_register(2), IORING_REGISTER_PROBE); only before the ring is enabled.
  public func supported() throws(SystemError) -> RingOpcodes {
    var mask: UInt64 = 0
    // SAFETY: eight bytes are written to eight bytes.
    let result = unsafe clinux_ring_probe(number, &mask)
    guard result == 0 else { throw SystemError(errno: -result, operation: "io_uring_register") }
    return RingOpcodes(rawValue: mask)
  }

  /// Takes the number of one that this process inherited. Before anybody else knows of this ring.
  public func replace(_ former: ClientRing) {
    // SAFETY: both are valid during the call.
    unsafe clinux_ring_replace(ring, former.ring)
  }

  /// false: there is no room before something has been submitted.
  public func push(_ request: Request) throws(SystemError) -> Bool {
    var raw = clinux_ring_request()
    raw.opcode = request.opcode.rawValue
    raw.slot = request.slot
    raw.offset = request.offset
    raw.address = request.address
    raw.length = request.length
    raw.operation_flags = request.operationFlags
    raw.user_data = request.userData
    // SAFETY: see `ring`; the request is copied.
    let result = unsafe clinux_ring_push(ring, &raw)
    if result == -EAGAIN { return false }
    guard result == 0 else { throw SystemError(errno: -result, operation: "io_uring") }
    return true
  }

  /// io_uring_enter(2): hands over what was pushed, also what is behind a request that was refused at once, with which a call ends.
  public func submit() throws(SystemError) {
    while true {
      // SAFETY: see `ring`.
      let result = unsafe clinux_ring_submit(ring)
      if result == -EINTR || result > 0 { continue }
      guard result == 0 else { throw SystemError(errno: -result, operation: "io_uring_enter") }
      return
    }
  }

  /// Waits until there is a completion, or for so long; nil: for ever.
  public func wait(nanoseconds: Int64? = nil) throws(SystemError) {
    // SAFETY: see `ring`.
    let result = unsafe clinux_ring_wait(ring, nanoseconds ?? -1)
    // A signal: the caller looks again.
    guard result >= 0 || result == -EINTR || result == -ETIME else {
      throw SystemError(errno: -result, operation: "io_uring_enter")
    }
  }

  public func take() -> Completion? {
    var raw = clinux_ring_completion()
    // SAFETY: see `ring`; the completion is written by the call.
    guard unsafe clinux_ring_take(ring, &raw) == 1 else { return nil }
    return Completion(userData: raw.user_data, result: raw.result, flags: raw.flags)
  }
}

/// A child that has a ring's descriptor, so that the broker has somebody to take it from when it tries the path.
public struct RingStandIn: ~Copyable {
  private let socket: Descriptor
  private let pid: Int32
  public let pidfd: Descriptor

  public init(_ ring: ClientRing) throws(SystemError) {
    let pair = try MessageSocket.pair()
    let child = clinux_ring_stand_in(ring.number, pair.second.rawValue)
    guard child > 0 else { throw SystemError(errno: -child, operation: "fork") }
    // Nobody else waits for it, so that the number stays its own.
    let handle = try ProcessPin.handle(of: child)
    pid = child
    pidfd = handle
    socket = pair.takeFirst()
  }

  /// Ends it, by its socket.
  public consuming func end() {
    let child = pid
    _ = consume self
    _ = try? retrying("waitpid") { Int(waitpid(child, nil, 0)) }
  }
}

/// Flags of socket requests (send(2), recv(2), accept4(2)).
public enum SocketFlags {
  public static let closeOnExec = UInt32(SOCK_CLOEXEC.rawValue)
  public static let noSignal = UInt32(MSG_NOSIGNAL)
  public static let dontWait = UInt32(MSG_DONTWAIT)
  public static let truncate = UInt32(MSG_TRUNC)
}

/// Memory that the kernel uses until a request has completed: bytes, and the structures of sendmsg(2), recvmsg(2), accept(2).
///
/// One thread at a time; kept by whoever waits for the completion. A forked child has a copy of its own.
public final class RingParcel: Sendable {
  private let bytes: UInt
  public let count: Int
  private let parcel: UInt

  /// - Parameter sender: whether the kernel is to say from whom it came; `destination` is where it goes.
  public init(_ content: [UInt8], destination: NetworkAddress?, wantsSender: Bool = false) throws(SystemError) {
    count = content.count
    // SAFETY: the memory is ours until deinit; one byte more, so that there is always some.
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count + 1, alignment: 16)
    unsafe memory.copyBytes(from: content)
    var flat = clinux_address()
    if let destination { flat = clinux_address(destination) }
    let made =
      wantsSender
      ? unsafe clinux_ring_parcel_create(memory.baseAddress, count, nil)
      : unsafe clinux_ring_parcel_create(memory.baseAddress, count, &flat)
    bytes = UInt(bitPattern: memory.baseAddress)
    parcel = UInt(bitPattern: made)
    guard parcel != 0 else {
      unsafe memory.deallocate()
      throw SystemError(errno: ENOMEM, operation: "malloc")
    }
  }

  deinit {
    // SAFETY: both were made by init and are freed here only.
    unsafe clinux_ring_parcel_destroy(OpaquePointer(bitPattern: parcel))
    unsafe UnsafeMutableRawPointer(bitPattern: bytes)?.deallocate()
  }

  private var raw: OpaquePointer? {
    // SAFETY: see init.
    unsafe OpaquePointer(bitPattern: parcel)
  }

  public var address: UInt64 { UInt64(bytes) }
  /// Of the `msghdr`.
  public var header: UInt64 {
    // SAFETY: see `raw`.
    unsafe clinux_ring_parcel_header(raw)
  }
  /// Where accept(2) puts the peer.
  public var peerAddress: UInt64 {
    // SAFETY: see `raw`.
    unsafe clinux_ring_parcel_address(raw)
  }
  public var peerLength: UInt64 {
    // SAFETY: see `raw`.
    unsafe clinux_ring_parcel_length(raw)
  }

  /// After the completion: whom the kernel named.
  public func peer(ofAccept: Bool) -> NetworkAddress? {
    var flat = clinux_address()
    // SAFETY: see `raw`.
    unsafe clinux_ring_parcel_peer(raw, ofAccept ? 1 : 0, &flat)
    return NetworkAddress(flat)
  }

  /// After the completion: the first bytes, no more than there are.
  public func content(_ size: Int) -> [UInt8] {
    // SAFETY: the memory has `count` bytes.
    unsafe [UInt8](UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: bytes), count: max(0, min(size, count))))
  }
}

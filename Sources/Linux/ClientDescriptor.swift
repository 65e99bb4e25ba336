import CLinux
import Glibc
import Synchronization

/// A socket to the broker whose number an application may know, and may close behind our back.
///
/// It is told apart from a later user of the same number by its cookie (SO_COOKIE). Thread-safe. In a forked child the
/// socket has been closed, or moved out of the application's reach (`ForkHandlers`).
public final class ClientDescriptor: Sendable {
  public enum InChild: Sendable {
    case closed
    /// The number stays taken by a socket that is always readable until `replace` is called.
    case inherited
  }

  private let address: UInt

  public init(_ socket: consuming Descriptor, inChild: InChild) throws(SystemError) {
    // SAFETY: the C side owns the number from here on, also when it fails.
    let client = unsafe clinux_client_create(
      socket.release(), inChild == .closed ? CLINUX_CHILD_CLOSES : CLINUX_CHILD_KEEPS)
    guard let client = unsafe client else { throw SystemError(errno: ENOMEM, operation: "malloc") }
    address = UInt(bitPattern: client)
  }

  deinit {
    // SAFETY: freed once, by the owner.
    unsafe clinux_client_destroy(client)
  }

  private var client: OpaquePointer? {
    // SAFETY: `address` came from a pointer that is valid while self lives.
    unsafe OpaquePointer(bitPattern: address)
  }

  /// What the application knows it by; -1 where a forked child has none.
  public var number: Int32 {
    // SAFETY: see `client`.
    unsafe clinux_client_number(client)
  }

  /// Whether the number still means this socket.
  public var isOpen: Bool {
    // SAFETY: see `client`.
    unsafe clinux_client_check(client) == 0
  }

  /// The parent's socket in a forked child, valid until `replace`; EBADF where there is none.
  public func inherited() throws(SystemError) -> Int32 {
    // SAFETY: see `client`.
    Int32(try retrying("inherited channel") { unsafe Int(clinux_client_inherited(client)) })
  }

  /// Puts `socket` under the known number, keeping O_NONBLOCK and close-on-exec; closes what was inherited.
  public func replace(by socket: consuming Descriptor) throws(SystemError) {
    let fd = socket.release()
    // SAFETY: the C side closes `fd` in every case. Not retried: dup3(2) fails with EBUSY or EBADF only.
    guard unsafe clinux_client_replace(client, fd) == 0 else { throw SystemError(errno: errno, operation: "dup3") }
  }

  /// O_NONBLOCK is set on the number (fcntl(2)).
  public var isNonblocking: Bool {
    let flags = clinux_status_flags(number)
    return flags >= 0 && flags & O_NONBLOCK != 0
  }

  /// O_NONBLOCK is set on a descriptor of ours.
  public static func isNonblocking(_ number: Int32) -> Bool {
    let flags = clinux_status_flags(number)
    return flags >= 0 && flags & O_NONBLOCK != 0
  }

  /// Sends `head` and `tail` as one datagram, with a descriptor where one is given; EAGAIN is a value.
  public func send(
    _ head: Span<UInt8>, _ tail: Span<UInt8>, descriptor: Int32? = nil, blocking: Bool
  ) throws(SystemError) -> Availability<Void> {
    let fd = number
    do {
      _ = try unsafe head.withUnsafeBufferPointer { (head) throws(SystemError) -> Int in
        try unsafe tail.withUnsafeBufferPointer { (tail) throws(SystemError) -> Int in
          try retrying("sendmsg") {
            var attached = descriptor ?? -1
            // SAFETY: both spans are valid during their closures, one number is read where one is given.
            return unsafe clinux_send(
              fd, head.baseAddress, head.count, tail.baseAddress, tail.count, &attached, descriptor == nil ? 0 : 1,
              blocking ? 0 : Int32(MSG_DONTWAIT))
          }
        }
      }
    } catch {
      if error.errno == EAGAIN { return .wouldBlock }
      throw error
    }
    return .ready(())
  }

  /// Receives one datagram into `buffer`, from its start; EAGAIN is a value.
  public func receive(into buffer: inout [UInt8], blocking: Bool) throws(SystemError) -> Availability<ReceivedReply> {
    let fd = number
    var attached = clinux_attached()
    let count: Int
    do {
      count = try retrying("recvmsg") {
        unsafe buffer.withUnsafeMutableBytes { storage in
          // SAFETY: the array's storage and its size; `attached` outlives the call.
          unsafe clinux_client_receive(
            fd, storage.baseAddress, storage.count, blocking ? 0 : Int32(MSG_DONTWAIT), &attached)
        }
      }
    } catch {
      if error.errno == EAGAIN { return .wouldBlock }
      throw error
    }
    return .ready(ReceivedReply(count: count, attached: attached))
  }

  /// Something can be received now: a datagram, the end, or an error.
  public var hasInput: Bool { clinux_client_poll(number, Int32(POLLIN), 0) != 0 }

  /// Waits with poll(2) for what is asked for, input or room for output; ends early for errors.
  public func wait(input: Bool, output: Bool) throws(SystemError) {
    let fd = number
    _ = try retrying("poll") {
      Int(clinux_client_poll(fd, (input ? Int32(POLLIN) : 0) | (output ? Int32(POLLOUT) : 0), -1))
    }
  }

  /// Closes the number now, if it is still ours; what threads are blocked in goes on, as with close(2).
  ///
  /// EBADF where the application has closed it before.
  public func close() throws(SystemError) {
    // SAFETY: see `client`.
    guard unsafe clinux_client_close(client) == 0 else { throw SystemError(errno: EBADF, operation: "close") }
  }
}

/// What came with one datagram. Descriptors that are not taken are closed with this value.
public struct ReceivedReply: ~Copyable {
  /// 0 also for the end of the connection.
  public let count: Int
  /// Bytes did not fit and are lost.
  public let truncated: Bool
  /// Descriptors did not fit, into the message or into this process, and are closed.
  public let lostDescriptors: Bool
  private var attached: clinux_attached
  private var next = 0

  init(count: Int, attached: clinux_attached) {
    self.count = count
    truncated = attached.data_truncated != 0
    lostDescriptors = attached.control_truncated != 0
    self.attached = attached
  }

  deinit {
    for index in next..<Int(attached.count) { Glibc.close(number(index)) }
  }

  private borrowing func number(_ index: Int) -> Int32 {
    // SAFETY: the C side has filled `count` numbers of the 16 that there is room for.
    unsafe withUnsafeBytes(of: attached.descriptors) { bytes in
      unsafe bytes.loadUnaligned(fromByteOffset: index * 4, as: Int32.self)
    }
  }

  /// How many descriptors have not been taken.
  public var remaining: Int { Int(attached.count) - next }

  /// The next descriptor in the order they were attached, or nil.
  public mutating func takeDescriptor() -> Descriptor? {
    guard remaining > 0 else { return nil }
    next += 1
    return Descriptor(adopting: number(next - 1))
  }
}

/// A descriptor in a place where values are copied; whoever takes it first has it.
public final class SharedDescriptor: Sendable {
  private let held: Mutex<Descriptor?>

  public init(_ descriptor: consuming Descriptor) { held = Mutex(descriptor) }

  /// nil after the first time.
  public func take() -> Descriptor? { held.withLock { $0.take() } }
}

extension Descriptor {
  /// Sets or clears O_NONBLOCK and FD_CLOEXEC.
  public borrowing func setFlags(nonblocking: Bool, closeOnExec: Bool) throws(SystemError) {
    let fd = rawValue
    _ = try retrying("fcntl") { Int(clinux_set_flags(fd, nonblocking ? 1 : 0, closeOnExec ? 1 : 0)) }
  }
}

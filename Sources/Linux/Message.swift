import CLinux
import Glibc

/// Who sent a message, as the kernel stamped it (unix(7) SCM_CREDENTIALS): never the uid as an identity, see SECURITY.
public struct SenderCredentials: Sendable, Hashable {
  /// Thread group id in our pid namespace; 0 where the sender is not in it.
  public var pid: Int32
  public var uid: UInt32
  public var gid: UInt32
}

/// What came with the bytes of one datagram. Descriptors that are not taken are closed with this value.
public struct ReceivedMessage: ~Copyable {
  /// 0 also for the end of the connection.
  public let count: Int
  /// nil where the socket does not ask for them (`MessageSocket.passCredentials`).
  public let sender: SenderCredentials?
  public var pidfd: Descriptor?
  /// Where exactly one descriptor was attached, that one.
  public var descriptor: PeerDescriptor?
  public let descriptorCount: Int
  /// Bytes or control messages did not fit and are lost: the message is to be refused.
  public let truncated: Bool
}

/// The result of a call that may find nothing to do: EAGAIN is a value.
public enum Availability<Value: ~Copyable>: ~Copyable {
  case ready(Value)
  case wouldBlock
}

/// Both ends of a connected pair.
@frozen public struct MessageSocketPair: ~Copyable {
  public var first: Descriptor
  public var second: Descriptor

  /// Closes the second end and gives the first.
  public consuming func takeFirst() -> Descriptor { first }
}

/// System calls on SOCK_SEQPACKET unix sockets, by descriptor number.
public enum MessageSocket {
  /// Receives one datagram into `buffer`, from its start.
  public static func receive(
    _ fd: Int32, into buffer: inout MessageBuffer, blocking: Bool = false
  ) throws(SystemError) -> Availability<ReceivedMessage> {
    var received = clinux_received()
    guard try receive(fd, into: &buffer, blocking: blocking, &received) else { return .wouldBlock }
    var attached = AttachedDescriptors(&received)
    let count = attached.count
    return .ready(
      ReceivedMessage(
        count: buffer.count,
        sender: received.pid == 0 && received.uid == 0 && received.gid == 0
          ? nil : SenderCredentials(pid: received.pid, uid: received.uid, gid: received.gid),
        pidfd: received.pidfd >= 0 ? Descriptor(adopting: received.pidfd) : nil,
        descriptor: count == 1 ? attached.take(0) : nil, descriptorCount: count,
        truncated: received.data_truncated != 0 || received.control_truncated != 0))
  }

  /// recvmsg(2); false: it would wait.
  static func receive(
    _ fd: Int32, into buffer: inout MessageBuffer, blocking: Bool, _ received: inout clinux_received
  ) throws(SystemError) -> Bool {
    do {
      try unsafe buffer.fill { (storage) throws(SystemError) -> Int in
        try retrying("recvmsg") {
          // SAFETY: the buffer is ours and its size is passed; `received` outlives the call.
          unsafe clinux_receive(
            fd, storage.baseAddress, storage.count, blocking ? 0 : Int32(MSG_DONTWAIT), &received)
        }
      }
      return true
    } catch {
      if error.errno == EAGAIN { return false }
      throw error
    }
  }

  /// Sends `bytes` as one datagram, with a descriptor where one is given; it stays open here.
  public static func send(
    _ fd: Int32, _ bytes: RawSpan, descriptor: Int32? = nil, blocking: Bool = false
  ) throws(SystemError) -> Availability<Void> {
    do {
      _ = try unsafe bytes.withUnsafeBytes { (source) throws(SystemError) -> Int in
        try retrying("sendmsg") {
          let flags: Int32 = blocking ? 0 : Int32(MSG_DONTWAIT)
          guard var attached = descriptor else {
            // SAFETY: the span's memory is valid during the closure.
            return unsafe clinux_send(fd, source.baseAddress, source.count, nil, 0, nil, 0, flags)
          }
          // SAFETY: as above; one descriptor number is read from `attached`.
          return unsafe clinux_send(fd, source.baseAddress, source.count, nil, 0, &attached, 1, flags)
        }
      }
    } catch {
      if error.errno == EAGAIN { return .wouldBlock }
      throw error
    }
    return .ready(())
  }

  /// Sends `head` and `tail` as one datagram, with descriptors attached; they stay open here.
  public static func send(
    _ fd: Int32, head: borrowing MessageBuffer, tail: borrowing MessageBuffer, descriptors: [Int32] = []
  ) throws(SystemError) -> Availability<Void> {
    do {
      _ = try unsafe head.withUnsafeBytes { (head) throws(SystemError) -> Int in
        try unsafe tail.withUnsafeBytes { (tail) throws(SystemError) -> Int in
          try retrying("sendmsg") {
            unsafe descriptors.withUnsafeBufferPointer { numbers in
              // SAFETY: the three buffers are valid during their closures.
              unsafe clinux_send(
                fd, head.baseAddress, head.count, tail.baseAddress, tail.count, numbers.baseAddress, numbers.count,
                Int32(MSG_DONTWAIT))
            }
          }
        }
      }
    } catch {
      if error.errno == EAGAIN { return .wouldBlock }
      throw error
    }
    return .ready(())
  }

  /// A connected pair, both ends close-on-exec and with kernel buffers of at least `bufferSize` bytes where allowed.
  public static func pair(bufferSize: Int32? = nil) throws(SystemError) -> MessageSocketPair {
    var numbers: [Int32] = [-1, -1]
    _ = try retrying("socketpair") {
      // SAFETY: the array has the two elements that socketpair(2) fills.
      unsafe Int(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &numbers))
    }
    let pair = MessageSocketPair(first: Descriptor(adopting: numbers[0]), second: Descriptor(adopting: numbers[1]))
    if let bufferSize {
      try setOption(numbers[0], SO_SNDBUF, bufferSize)
      try setOption(numbers[1], SO_SNDBUF, bufferSize)
    }
    return pair
  }

  /// Asks the kernel to stamp every message received here with its sender (SO_PASSCRED).
  public static func passCredentials(_ fd: Int32) throws(SystemError) { try setOption(fd, SO_PASSCRED, 1) }

  /// The socket's cookie (SO_COOKIE): unique while the system runs, so it names the open socket and not a number.
  public static func cookie(_ fd: Int32) throws(SystemError) -> UInt64 {
    var value: UInt64 = 0
    var size = socklen_t(MemoryLayout<UInt64>.size)
    _ = try retrying("getsockopt(SO_COOKIE)") {
      // SAFETY: eight bytes are written to eight bytes.
      unsafe Int(getsockopt(fd, SOL_SOCKET, 57, &value, &size))
    }
    return value
  }

  static func setOption(_ fd: Int32, _ option: Int32, _ value: Int32) throws(SystemError) {
    var value = value
    _ = try retrying("setsockopt") {
      // SAFETY: four bytes are read from four bytes.
      unsafe Int(setsockopt(fd, SOL_SOCKET, option, &value, socklen_t(MemoryLayout<Int32>.size)))
    }
  }
}

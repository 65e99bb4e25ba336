import CLinux
import Glibc
import Instructions

/// What kind of socket `Descriptor.socket` makes.
public enum SocketKind: Sendable, Hashable {
  case tcp(NetworkAddress.Family)
  case udp(NetworkAddress.Family)
  case unixStream
  /// socket(AF_INET or AF_INET6, SOCK_RAW, IP protocol number)
  case raw(NetworkAddress.Family, ipProtocol: UInt8)
  /// socket(AF_PACKET, SOCK_RAW, 0): receives nothing until it is bound, so that no frame of another interface is queued.
  case packet

  fileprivate var arguments: (family: Int32, type: Int32, protocol: Int32) {
    switch self {
    case .tcp(let family): (family.number, streamType, 0)
    case .udp(let family): (family.number, datagramType, 0)
    case .unixStream: (AF_UNIX, streamType, 0)
    case .raw(let family, let ipProtocol): (family.number, rawType, Int32(ipProtocol))
    case .packet: (AF_PACKET, rawType, 0)
    }
  }
}

private let streamType = Int32(SOCK_STREAM.rawValue)
private let datagramType = Int32(SOCK_DGRAM.rawValue)
private let rawType = Int32(SOCK_RAW.rawValue)

extension NetworkAddress.Family {
  fileprivate var number: Int32 { self == .ipv4 ? AF_INET : AF_INET6 }
}

/// What an accept came to; that nobody is waiting is a value.
public enum AcceptResult: ~Copyable, Sendable {
  case accepted(Descriptor, from: NetworkAddress?)
  case wouldBlock
}

/// What a receive came to.
public enum ReceiveResult: Sendable {
  /// `count`: the datagram's whole length, which can be more than was stored.
  case received(count: Int, from: NetworkAddress?)
  case wouldBlock
}

extension Descriptor {
  /// A non-blocking socket.
  ///
  /// - Parameter networkNamespace: a network namespace's file (`/run/netns/x`, `/proc/1/ns/net`), or nil for the
  ///   caller's. Needs CAP_SYS_ADMIN; no thread of the caller's enters it.
  public static func socket(_ kind: SocketKind, networkNamespace: String? = nil) throws(SystemError) -> Descriptor {
    let arguments = kind.arguments
    let number: Int
    if let path = networkNamespace {
      guard !path.utf8.contains(0) else { throw SystemError(errno: EINVAL, operation: "setns", path: path) }
      number = try retrying("socket", path) {
        // SAFETY: the string is valid during the call.
        unsafe Int(clinux_socket(path, arguments.family, arguments.type, arguments.protocol))
      }
    } else {
      number = try retrying("socket") {
        Int(clinux_socket(nil, arguments.family, arguments.type, arguments.protocol))
      }
    }
    return Descriptor(adopting: Int32(number))
  }

  /// bind(2) to an IPv4 or IPv6 address.
  public borrowing func bind(to address: NetworkAddress) throws(SystemError) {
    let number = rawValue
    var flat = clinux_address(address)
    // SAFETY: the address is valid during the call.
    _ = try retrying("bind") { unsafe Int(clinux_socket_bind_address(number, &flat)) }
  }

  /// bind(2) of a packet socket to an interface of its own network namespace.
  ///
  /// - Parameter receiving: whether frames are to be queued at all.
  public borrowing func bind(toInterface name: String, receiving: Bool) throws(SystemError) {
    let number = rawValue
    guard !name.utf8.contains(0) else { throw SystemError(errno: ENODEV, operation: "bind", path: name) }
    // SAFETY: the string is valid during the call.
    let index = try retrying("ioctl(SIOCGIFINDEX)", name) { unsafe Int(clinux_socket_interface_index(number, name)) }
    // ETH_P_ALL, see packet(7).
    _ = try retrying("bind", name) { Int(clinux_socket_bind_packet(number, Int32(index), receiving ? 3 : 0)) }
  }

  /// listen(2)
  public borrowing func listen(backlog: Int32) throws(SystemError) {
    let number = rawValue
    _ = try retrying("listen") { Int(Glibc.listen(number, backlog)) }
  }

  /// accept4(2): the connection is close-on-exec and blocking.
  public borrowing func accept() throws(SystemError) -> AcceptResult {
    let number = rawValue
    var peer = clinux_address()
    do {
      // SAFETY: the address is valid during the call.
      let connection = try retrying("accept") { unsafe Int(clinux_socket_accept(number, &peer)) }
      return .accepted(Descriptor(adopting: Int32(connection)), from: NetworkAddress(peer))
    } catch {
      guard error.errno == EAGAIN else { throw error }
      return .wouldBlock
    }
  }

  /// connect(2) to an IPv4 or IPv6 address. EINPROGRESS is thrown like any other errno.
  public borrowing func connect(to address: NetworkAddress) throws(SystemError) {
    let number = rawValue
    var flat = clinux_address(address)
    // SAFETY: the address is valid during the call.
    _ = try retrying("connect") { unsafe Int(clinux_socket_connect_address(number, &flat)) }
  }

  /// sendto(2), never waiting and never raising SIGPIPE.
  ///
  /// - Returns: the bytes sent, or nil where it would have to wait.
  public borrowing func send(_ bytes: RawSpan, to address: NetworkAddress?) throws(SystemError) -> Int? {
    let number = rawValue
    do {
      return try unsafe bytes.withUnsafeBytes { (buffer) throws(SystemError) -> Int in
        guard let address else {
          // SAFETY: the buffer is valid during the call.
          return try retrying("send") {
            unsafe clinux_socket_send(number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT), nil)
          }
        }
        var flat = clinux_address(address)
        // SAFETY: buffer and address are valid during the call.
        return try retrying("send") {
          unsafe clinux_socket_send(number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT), &flat)
        }
      }
    } catch {
      guard error.errno == EAGAIN else { throw error }
      return nil
    }
  }

  /// recvfrom(2) of one datagram or frame, never waiting; what fits is appended, the rest of the datagram is lost.
  ///
  /// - Parameter limit: at most this many bytes are stored, and never more than `output` has room for.
  public borrowing func receiveDatagram(upTo limit: Int, into output: inout OutputRawSpan) throws(SystemError)
    -> ReceiveResult
  {
    // MSG_TRUNC: the real length is returned; on a stream it would throw bytes away, see recv(2) and tcp(7).
    try receive(upTo: limit, flags: Int32(MSG_TRUNC), into: &output)
  }

  /// recvfrom(2) on a stream, never waiting. A count of 0 is the end of the stream.
  public borrowing func receiveStream(upTo limit: Int, into output: inout OutputRawSpan) throws(SystemError)
    -> ReceiveResult
  {
    try receive(upTo: limit, flags: 0, into: &output)
  }

  private borrowing func receive(upTo limit: Int, flags: Int32, into output: inout OutputRawSpan) throws(SystemError)
    -> ReceiveResult
  {
    let number = rawValue
    var peer = clinux_address()
    do {
      let count = try unsafe output.withUnsafeMutableBytes { (buffer, filled) throws(SystemError) -> Int in
        // SAFETY: only the free part of the buffer is given to the kernel.
        let free = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
        let room = min(limit, free.count)
        // SAFETY: buffer and address are valid during the call, and room is not more than the buffer has.
        let count = try retrying("recvfrom") {
          unsafe clinux_socket_receive(number, free.baseAddress, room, flags | Int32(MSG_DONTWAIT), &peer)
        }
        filled += min(count, room)
        return count
      }
      return .received(count: count, from: NetworkAddress(peer))
    } catch {
      guard error.errno == EAGAIN else { throw error }
      return .wouldBlock
    }
  }

  /// shutdown(2); `how` as there (0 receiving, 1 sending, 2 both).
  public borrowing func shutdown(how: Int32) throws(SystemError) {
    let number = rawValue
    _ = try retrying("shutdown") { Int(Glibc.shutdown(number, how)) }
  }

  /// The address that the socket is bound to, or nil where it has none of IPv4 or IPv6.
  public borrowing func localAddress() throws(SystemError) -> NetworkAddress? {
    let number = rawValue
    var flat = clinux_address()
    // SAFETY: the address is valid during the call.
    _ = try retrying("getsockname") { unsafe Int(clinux_socket_local_address(number, &flat)) }
    return NetworkAddress(flat)
  }
}

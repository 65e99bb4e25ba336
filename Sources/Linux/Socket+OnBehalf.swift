import CLinux
import Glibc

/// What is done to sockets on behalf of another process, whose arguments are given as it gave them.
extension Descriptor {
  /// A non-blocking socket of any kind.
  ///
  /// - Parameters:
  ///   - type: without SOCK_NONBLOCK and SOCK_CLOEXEC.
  ///   - networkNamespace: a network namespace's file, or nil for the caller's own.
  public static func socket(domain: Int32, type: Int32, protocol number: Int32, networkNamespace: String?)
    throws(SystemError) -> Descriptor
  {
    guard let path = networkNamespace else {
      return Descriptor(
        adopting: Int32(try retrying("socket") { Int(clinux_socket(nil, domain, type, number)) }))
    }
    guard !path.utf8.contains(0) else { throw SystemError(errno: EINVAL, operation: "setns", path: path) }
    return Descriptor(
      adopting: Int32(
        try retrying("socket", path) {
          // SAFETY: the string is valid during the call.
          unsafe Int(clinux_socket(path, domain, type, number))
        }))
  }

  /// bind(2) to the bytes of a `struct sockaddr`, as somebody else's program gave them.
  public borrowing func bind(name: [UInt8]) throws(SystemError) {
    let number = rawValue
    _ = try retrying("bind") {
      unsafe name.withUnsafeBytes { bytes in
        // SAFETY: the array's storage with its size; the kernel copies it and looks at nothing else.
        unsafe Int(
          Glibc.bind(number, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count)))
      }
    }
  }

  /// bind(2) of a packet socket to an interface of its own network namespace.
  ///
  /// - Parameter ethernetProtocol: host order; 0: queues nothing.
  public borrowing func bind(toInterface name: String, protocol ethernetProtocol: UInt16) throws(SystemError) {
    let number = rawValue
    guard !name.utf8.contains(0) else { throw SystemError(errno: ENODEV, operation: "bind", path: name) }
    // SAFETY: the string is valid during the call.
    let index = try retrying("ioctl(SIOCGIFINDEX)", name) { unsafe Int(clinux_socket_interface_index(number, name)) }
    _ = try retrying("bind", name) { Int(clinux_socket_bind_packet(number, Int32(index), ethernetProtocol)) }
  }

  /// Clears O_NONBLOCK of the file description.
  public borrowing func setBlocking() throws(SystemError) {
    let number = rawValue
    let flags = try retrying("fcntl(F_GETFL)") { Int(fcntl(number, F_GETFL)) }
    _ = try retrying("fcntl(F_SETFL)") { Int(fcntl(number, F_SETFL, Int32(flags) & ~O_NONBLOCK)) }
  }

  /// fchown(2); of a socket it says whose the kernel takes it to be (sockfs_setattr, net/socket.c).
  public borrowing func chown(user: UInt32, group: UInt32) throws(SystemError) {
    let number = rawValue
    _ = try retrying("fchown") { Int(fchown(number, user, group)) }
  }

  /// Whether a peer is set: accepted, or connected by its holder (getpeername(2)).
  public var isConnected: Bool {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let number = rawValue
    return unsafe withUnsafeMutableBytes(of: &address) { bytes in
      // SAFETY: the structure with its size.
      unsafe getpeername(number, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length) == 0
    }
  }
}

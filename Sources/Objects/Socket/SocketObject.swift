import Authority
import Glibc
import Instructions
import Linux
import Synchronization

/// A socket that the broker opened and bound to what its definition names.
///
/// tcp and unix listeners are shared by all associations of the object: what one of them does to the socket itself
/// (listen, shutdown, setoption) is done to all. A udp object has one socket per open; they share the port through
/// SO_REUSEPORT, so a datagram reaches exactly one of them, chosen by the kernel from the sender's address, unless
/// the socket is connected. The kernel lets only processes of the broker's own user join such a port. Raw and packet
/// objects have one socket per open as well, and each receives everything.
public final class SocketObject: OpenObject {
  public let endpoint: SocketSpecification.Endpoint
  let descriptor: Descriptor
  /// The name that a unix listener made in the file system, to be removed with it.
  let boundName: BoundName?
  /// Set by `recall`: nothing starts any more.
  let isRecalled = Atomic(false)
  private let isGivenAway = Atomic(false)
  /// The largest backlog asked for, so that one association cannot shrink another's; nil: not listening.
  let backlog = Mutex<Int32?>(nil)

  public var readiness: Int32? { descriptor.rawValue }
  public var footprint: Footprint? { nil }

  /// Whether all associations use this one socket, or every open gets one of its own.
  public var isShared: Bool { Self.isShared(endpoint) }

  /// The same, before there is a socket.
  public static func isShared(_ endpoint: SocketSpecification.Endpoint) -> Bool {
    switch endpoint {
    case .tcp, .unix: true
    case .udp, .raw, .packet: false
    }
  }

  /// The address that the socket is bound to (with the port that was chosen, where the definition says 0), or nil
  /// for unix and packet sockets.
  public func localAddress() throws(SystemError) -> NetworkAddress? { try descriptor.localAddress() }

  /// Opens and binds the socket in the definition's network namespace.
  ///
  /// - Parameter operations: what the opener may do. A listener whose opener may accept but not listen is put to
  ///   listening; a packet socket whose opener may not receive gets no frame queued.
  /// - Throws: what socket(2), setsockopt(2), bind(2), listen(2) and setns(2) give; EEXIST for a unix path at which
  ///   something other than a socket stands, EADDRINUSE for one at which somebody answers. Nothing stays behind.
  public static func open(_ specification: SocketSpecification, operations: OperationSet) throws(SystemError)
    -> SocketObject
  {
    let network: String? =
      switch specification.network {
      case .host: nil
      case .path(let path): path
      }
    let endpoint = specification.endpoint
    let descriptor: Descriptor
    var boundName: BoundName? = nil
    switch endpoint {
    case .tcp(let address):
      descriptor = try .socket(.tcp(address.family), networkNamespace: network)
      // Connections of an earlier broker in TIME_WAIT must not keep the port, see socket(7).
      try descriptor.setOption(level: SOL_SOCKET, name: SO_REUSEADDR, to: 1)
      try bind(descriptor, to: address)
    case .udp(let address):
      descriptor = try .socket(.udp(address.family), networkNamespace: network)
      try descriptor.setOption(level: SOL_SOCKET, name: SO_REUSEPORT, to: 1)
      try bind(descriptor, to: address)
    case .unix(let path):
      descriptor = try .socket(.unixStream, networkNamespace: network)
      boundName = try BoundName(binding: descriptor, to: path)
    case .raw(let family, let ipProtocol):
      descriptor = try .socket(.raw(family, ipProtocol: ipProtocol), networkNamespace: network)
      try forbidOwnHeaders(descriptor, family)
    case .packet(let interface):
      descriptor = try .socket(.packet, networkNamespace: network)
      try descriptor.bind(toInterface: interface, receiving: operations.contains(.receive))
    }
    let object = SocketObject(endpoint: endpoint, descriptor: descriptor, boundName: boundName)
    try object.admit(operations)
    return object
  }

  /// Makes a shared socket ready for a further association with these operations.
  public func admit(_ operations: OperationSet) throws(SystemError) {
    if isShared, operations.contains(.accept), !operations.contains(.listen) {
      try listen(backlog: SOMAXCONN)
    }
  }

  /// Nothing starts any more, and whoever waits for readiness is woken: every later operation fails with ESHUTDOWN.
  ///
  /// Connections that were accepted before are not touched.
  public func recall() {
    isRecalled.store(true, ordering: .releasing)
    // ENOTCONN still wakes the waiters of an unconnected socket; packet sockets know no shutdown and are left to the
    // mark above. Neither changes what the caller can do.
    try? descriptor.shutdown(how: Int32(SHUT_RDWR))
  }

  private init(endpoint: SocketSpecification.Endpoint, descriptor: consuming Descriptor, boundName: BoundName?) {
    self.endpoint = endpoint
    self.descriptor = descriptor
    self.boundName = boundName
  }

  deinit { if !isGivenAway.load(ordering: .acquiring) { boundName?.remove() } }

  /// The object's socket as somebody else has it; bound already. The name of a unix listener is not removed with it.
  public static func adopt(
    _ specification: SocketSpecification, _ socket: consuming Descriptor
  ) throws(SystemError) -> SocketObject {
    SocketObject(endpoint: specification.endpoint, descriptor: socket, boundName: nil)
  }

  /// A descriptor for somebody who uses the socket beside the broker, blocking: from then on the broker itself must not
  /// wait on it.
  public func lend() throws(SystemError) -> Descriptor {
    try descriptor.setBlocking()
    return try descriptor.duplicate()
  }

  /// What is lent listens if that, or accepting, is granted; once the kernel knows it as an object, because connections
  /// that came before would be none of its own.
  public func listenLent(_ operations: OperationSet) throws(SystemError) {
    guard isShared, operations.contains(.listen) || operations.contains(.accept) else { return }
    try listen(backlog: SOMAXCONN)
  }

  /// A descriptor to give away, blocking, and listening if that is granted. A unix listener's name stays, as it does
  /// when a program ends that has bound it itself.
  public func giveAway(_ operations: OperationSet) throws(SystemError) -> Descriptor {
    if operations.contains(.listen), isShared { try listen(backlog: SOMAXCONN) }
    try descriptor.setBlocking()
    let given = try descriptor.duplicate()
    isGivenAway.store(true, ordering: .releasing)
    return given
  }

  private static func bind(_ descriptor: borrowing Descriptor, to address: NetworkAddress) throws(SystemError) {
    if address.family == .ipv6 {
      // `[::]` takes IPv4 too and a particular address does not, whatever net.ipv6.bindv6only says (ipv6(7)).
      let only: Int32 = address.isUnspecified ? 0 : 1
      try descriptor.setOption(level: Int32(IPPROTO_IPV6), name: IPV6_V6ONLY, to: only)
    }
    try descriptor.bind(to: address)
  }

  /// The kernel writes the IP header, also for protocol 255 (raw(7)): a header of the application's own would name a
  /// destination that no limit has seen.
  private static func forbidOwnHeaders(_ descriptor: borrowing Descriptor, _ family: NetworkAddress.Family)
    throws(SystemError)
  {
    switch family {
    case .ipv4: try descriptor.setOption(level: Int32(IPPROTO_IP), name: IP_HDRINCL, to: 0)
    case .ipv6: try descriptor.setOption(level: Int32(IPPROTO_IPV6), name: IPV6_HDRINCL, to: 0)
    }
  }
}

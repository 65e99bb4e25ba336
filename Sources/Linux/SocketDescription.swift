import CLinux
import Glibc
import Instructions

/// What of a socket cannot change: AF_, SOCK_ and IPPROTO_ constants, and its network namespace.
public protocol SocketNature {
  var domain: Int32 { get }
  var type: Int32 { get }
  var ipProtocol: Int32 { get }
  var network: UInt64 { get }
}

/// No more than that, for what is asked at every call.
public struct SocketForm: SocketNature, Sendable, Hashable {
  public let domain: Int32
  public let type: Int32
  public let ipProtocol: Int32
  public let network: UInt64

  /// - Throws: as `SocketDescription`.
  public init(of descriptor: borrowing Descriptor) throws(SystemError) {
    let number = descriptor.rawValue
    var facts = clinux_socket_facts()
    // SAFETY: the structure is valid during the call.
    _ = try retrying("getsockopt") { unsafe Int(clinux_socket_kind(number, &facts)) }
    (domain, type, ipProtocol, network) = (facts.domain, facts.type, facts.protocol, facts.network)
  }
}

/// What a socket says of itself (socket(7)), whoever made it and wherever.
public struct SocketDescription: SocketNature, Sendable, Hashable {
  /// What it is bound to.
  public enum Local: Sendable, Hashable {
    /// An IPv4 or IPv6 address; 0.0.0.0 or :: with port 0 before it is bound.
    case network(NetworkAddress)
    /// A unix socket's path, or with a leading 0 its abstract name; empty before it is bound.
    case unix([UInt8])
    /// A packet socket's interface (0: all) and protocol in host order.
    case packet(interface: Int32, protocol: UInt16)
    case other
  }

  /// AF_, SOCK_ and IPPROTO_ constants.
  public var domain: Int32
  public var type: Int32
  public var ipProtocol: Int32
  /// Names its network namespace, for as long as the machine runs (SO_NETNS_COOKIE).
  public var network: UInt64
  /// Names the socket, for as long as the machine runs (SO_COOKIE).
  public var cookie: UInt64
  public var isListening: Bool
  public var isStream: Bool { type == Int32(SOCK_STREAM.rawValue) }
  /// A holder has locked the filter it has (SO_LOCK_FILTER): `recallSocket` cannot put another one there.
  public var isFilterLocked: Bool
  public var local: Local

  /// - Throws: ENOTSOCK for what is no socket, ENOPROTOOPT before Linux 5.14.
  public init(of descriptor: borrowing Descriptor) throws(SystemError) {
    let number = descriptor.rawValue
    var facts = clinux_socket_facts()
    // SAFETY: the structure is valid during the call.
    _ = try retrying("getsockopt") { unsafe Int(clinux_socket_facts(number, &facts)) }
    domain = facts.domain
    type = facts.type
    ipProtocol = facts.protocol
    network = facts.network
    cookie = facts.cookie
    isListening = facts.listening != 0
    isFilterLocked = facts.filter_locked != 0
    switch facts.local_family {
    case AF_UNIX:
      let length = Int(facts.path_length)
      // SAFETY: a copy of an array of bytes within the structure.
      local = .unix(unsafe withUnsafeBytes(of: facts.path) { unsafe Array($0.prefix(length)) })
    case AF_PACKET: local = .packet(interface: facts.interface_index, protocol: facts.packet_protocol)
    default: local = NetworkAddress(facts.local).map { .network($0) } ?? .other
    }
  }

  /// The cookie of a network namespace.
  ///
  /// - Parameter namespacePath: its file (`/run/netns/x`, `/proc/1/ns/net`), or nil for the caller's own. Needs
  ///   CAP_SYS_ADMIN; no thread of the caller's enters it.
  public static func networkCookie(namespacePath: String?) throws(SystemError) -> UInt64 {
    try SocketDescription(of: try Descriptor.socket(.unixStream, networkNamespace: namespacePath)).network
  }
}

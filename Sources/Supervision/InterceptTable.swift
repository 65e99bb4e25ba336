import Authority
import Instructions

/// Which objects of the policy an intercepted call could be about. Immutable; a reload publishes another one.
///
/// It only sorts out the many calls that are about none, without the thread that decides; it grants nothing.
public struct InterceptTable: Sendable {
  public struct Entry: Sendable {
    public var id: ObjectID
    public var definition: ObjectDefinition
    /// The network namespace of a socket, as SO_NETNS_COOKIE names it; nil: not a socket, or it could not be found out.
    public var network: UInt64?
    /// The same as /proc/PID/ns/net shows it.
    public var networkIdentity: FileIdentity?

    public init(
      id: ObjectID, definition: ObjectDefinition, network: UInt64? = nil, networkIdentity: FileIdentity? = nil
    ) {
      self.id = id
      self.definition = definition
      self.network = network
      self.networkIdentity = networkIdentity
    }
  }

  /// In the policy's order, which decides where several could be meant.
  public var entries: [Entry]
  /// Ports below are privileged (net.ipv4.ip_unprivileged_port_start).
  public var privilegedPorts: UInt16

  public init(entries: [Entry] = [], privilegedPorts: UInt16 = 1024) {
    self.entries = entries
    self.privilegedPorts = privilegedPorts
  }

  /// Objects whose address is exactly this one; of a unix path those of the same last name, wherever it is.
  func named(_ name: SocketName) -> [Entry] {
    entries.filter { entry in
      guard case .socket(let socket) = entry.definition.specification else { return false }
      switch (socket.endpoint, name.form) {
      case (.tcp(let address), .internet(let given)), (.udp(let address), .internet(let given)):
        return address == given
      case (.unix(let path), .unixPath(let given)):
        return SocketName.lastComponent(path) == given.split(separator: UInt8(ascii: "/")).last.map(Array.init)
      default: return false
      }
    }
  }

  /// Raw or packet objects that a socket(2) of these arguments makes.
  func sockets(_ call: SocketCall) -> [Entry] {
    entries.filter { entry in
      guard case .socket(let socket) = entry.definition.specification else { return false }
      switch socket.endpoint {
      case .raw(let family, let number):
        return call.isRaw && call.domain == Int32(family.rawValue) && call.ipProtocol == Int32(number)
      case .packet: return call.isPacket
      case .tcp, .udp, .unix: return false
      }
    }
  }

  /// Disks and buses that stand for a file of the machine.
  var files: [Entry] { entries.filter { $0.definition.path != nil } }
}

/// The arguments of an intercepted socket(2): registers, so nobody can change them.
public struct SocketCall: Sendable, Hashable {
  public var domain: Int32
  /// With SOCK_NONBLOCK and SOCK_CLOEXEC.
  public var type: Int32
  public var ipProtocol: Int32

  public init(domain: Int32, type: Int32, ipProtocol: Int32) {
    self.domain = domain
    self.type = type
    self.ipProtocol = ipProtocol
  }

  /// AF_PACKET; SOCK_RAW of AF_INET and AF_INET6. SOCK_TYPE_MASK is 15.
  var isPacket: Bool { domain == 17 }
  var isRaw: Bool { (domain == 2 || domain == 10) && type & 15 == 3 }
  var isNonblocking: Bool { type & 0o4000 != 0 }
  var isCloseOnExec: Bool { type & 0o2000000 != 0 }
}

import Authority
import Linux

/// A socket that is an object, found where it is: in a process that has it.
public enum HeldSocket {
  /// A copy of the process's descriptor, or nil: it has none, or cannot be looked at.
  public static func find(_ specification: SocketSpecification, in pid: Int32) -> Descriptor? {
    let network: UInt64?
    switch specification.network {
    case .host: network = try? SocketDescription.networkCookie(namespacePath: nil)
    case .path(let path): network = try? SocketDescription.networkCookie(namespacePath: path)
    }
    var found: Descriptor?
    _ = HeldObject.sockets(specification, network: network, in: pid) { socket, _ in
      if let copy = try? socket.duplicate() { found = consume copy }
    }
    return found
  }
}

import Authority
import Instructions
import Linux

extension SupervisorLoop {
  mutating func prepareSocket(_ notification: Notification) throws(SystemError) {
    let registers = notification.arguments
    let call = SocketCall(
      domain: Int32(truncatingIfNeeded: registers.0), type: Int32(truncatingIfNeeded: registers.1),
      ipProtocol: Int32(truncatingIfNeeded: registers.2))
    // A filter of ours notifies of no other; a container's own may notify of every socket.
    guard call.isPacket || call.isRaw else { return letThrough(notification.id) }
    let caller = try self.caller(notification.thread)
    let facts = try caller.thread.facts()
    guard try supervisor.listener.isValid(notification.id) else { return supervisor.ledger.end(notification.id) }
    let network = facts.networkNamespace.map { FileIdentity(device: $0.device, inode: $0.inode) }
    let candidates = supervisor.table.current.sockets(call)
      .filter { $0.networkIdentity != nil && $0.networkIdentity == network }
      .map { PreparedCall.Candidate(entry: $0, needed: OperationSet([.send, .receive]), suffices: .any) }
    let told = told(
      notification, caller, candidates, opcode: .receive, text: call.text, isPrivileged: !facts.holds(.netRaw))
    guard !candidates.isEmpty else {
      return refuse(told, .noSuchObject, "no object of the policy is such a socket in this network namespace")
    }
    decide(PreparedCall(caller: caller, candidates: candidates, told: told, work: .socket(call)))
  }

  /// Makes the socket in the object's network namespace, which is the program's, and gives it to the program.
  func socket(
    _ granted: consuming GrantedOperations, _ call: SocketCall, _ prepared: PreparedCall,
    _ candidate: PreparedCall.Candidate
  ) {
    let id = prepared.told.id
    guard case .socket(let specification) = candidate.entry.definition.specification else { return letThrough(id) }
    do throws(SystemError) {
      let made = try Self.make(call, specification)
      if !call.isNonblocking { try made.setBlocking() }
      // What is told of the socket (SO_PEERCRED has none here; netfilter's owner match and ss(8) look) is the program's.
      let facts = try prepared.caller.thread.facts()
      try made.chown(user: facts.fsUID, group: facts.fsGID)
      try tag(made, prepared, candidate)
      _ = try supervisor.listener.inject(id, made, closeOnExec: call.isCloseOnExec)
      supervisor.ledger.end(id)
    } catch {
      // EMFILE among them: as socket(2) fails, and never let through after a grant.
      answer(id, errno: error.errno)
    }
  }

  private static func make(_ call: SocketCall, _ specification: SocketSpecification) throws(SystemError) -> Descriptor {
    var network: String?
    if case .path(let path) = specification.network { network = path }
    guard case .packet(let interface) = specification.endpoint else {
      return try Descriptor.socket(
        domain: call.domain, type: call.type & 15, protocol: call.ipProtocol, networkNamespace: network)
    }
    // Without a protocol it queues nothing until it is bound, so that no frame of another interface is ever in it.
    let socket = try Descriptor.socket(
      domain: call.domain, type: call.type & 15, protocol: 0, networkNamespace: network)
    // packet(7): the protocol is in network order.
    try socket.bind(toInterface: interface, protocol: UInt16(truncatingIfNeeded: call.ipProtocol).byteSwapped)
    return socket
  }
}

extension SocketCall {
  /// For people.
  var text: String {
    isPacket
      ? "socket packet"
      : "socket raw \(domain == 2 ? "ipv4" : "ipv6") protocol \(ipProtocol)"
  }
}

import Authority
import Glibc
import Instructions
import Linux
import Synchronization

extension SocketObject {
  /// Performs a granted socket operation.
  ///
  /// - bind: the socket is bound already; succeeds without an address or with the object's own, else EINVAL.
  /// - listen: operands.request is the backlog. On a shared socket the largest one asked for stands.
  /// - accept: one connection, close-on-exec and blocking, with the peer's address (none for unix).
  /// - connect: udp and raw only. Listeners are shared and would stop listening: EOPNOTSUPP.
  /// - send: the payload to operands.address, or to the connected peer. Packet: a whole frame with its link header.
  /// - receive: one datagram, at most operands.length bytes of it. The result is the datagram's whole length: where
  ///   that is more than was appended, the rest is lost, as with MSG_TRUNC of recv(2). IPv4 raw datagrams begin with
  ///   the IP header, IPv6 ones do not (raw(7)).
  /// - shutdown: operands.request is 0, 1 or 2 as in shutdown(2).
  /// - getoption, setoption: operands.request is `level << 16 | name`; values of at most 256 bytes.
  public func perform(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    guard !isRecalled.load(ordering: .acquiring) else { return .failed(errno: ESHUTDOWN) }
    let operands = grant.instruction.operands
    do {
      switch grant.instruction.opcode {
      case .bind:
        return operands.address == nil || operands.address == ownAddress ? .done(0) : .failed(errno: EINVAL)
      case .listen:
        try listen(backlog: Int32(clamping: operands.request))
        return .done(0)
      case .accept:
        return try accept()
      case .connect:
        guard !isShared else { return .failed(errno: EOPNOTSUPP) }
        guard let address = operands.address else { return .failed(errno: EDESTADDRREQ) }
        try connect(to: address)
        return .done(0)
      case .send:
        // What was checked is the length in the operands; other bytes than those are not sent.
        guard UInt64(payload.byteCount) == operands.length else { return .failed(errno: EINVAL) }
        guard let count = try descriptor.send(payload, to: operands.address.map(destination)) else {
          return .wouldBlock(.writable)
        }
        return .done(UInt64(count))
      case .receive:
        return try receive(upTo: Int(clamping: operands.length), into: &output)
      case .shutdown:
        guard operands.request <= 2 else { return .failed(errno: EINVAL) }
        try descriptor.shutdown(how: Int32(truncatingIfNeeded: operands.request))
        return .done(0)
      case .getoption:
        return try getOption(operands, into: &output)
      case .setoption:
        return try setOption(operands, payload)
      default:
        return .failed(errno: EOPNOTSUPP)
      }
    } catch {
      return .failed(errno: error.errno)
    }
  }

  /// No socket operation blocks; the same as `perform`.
  public func performBlocking(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    perform(grant, payload: payload, into: &output)
  }

  /// listen(2) with at least this backlog, and at least any asked for before.
  func listen(backlog wanted: Int32) throws(SystemError) {
    try backlog.withLock { (current) throws(SystemError) in
      let larger = max(current ?? 0, wanted)
      try descriptor.listen(backlog: larger)
      current = larger
    }
  }

  private var ownAddress: NetworkAddress? {
    switch endpoint {
    case .tcp(let address), .udp(let address): address
    case .unix, .raw, .packet: nil
    }
  }

  /// The destination as the kernel is told it. A raw socket has no ports, and raw IPv6 would take one for the
  /// protocol number to send (ipv6(7), rawv6_sendmsg in net/ipv6/raw.c).
  private func destination(_ address: NetworkAddress) -> NetworkAddress {
    guard case .raw = endpoint else { return address }
    return NetworkAddress(family: address.family, bytes: address.bytes, port: 0)
  }

  /// Of an unshared socket: what is sent without an address goes there, and only what comes from there is received.
  public func connect(to address: NetworkAddress) throws(SystemError) {
    try descriptor.connect(to: destination(address))
  }

  /// accept(2) hands out errors of the connection that it drops; those concern nobody here, the next one is taken.
  ///
  /// Bounded, so that a flood of broken connections cannot hold the thread; the rest is found by the next readiness,
  /// which must therefore be level-triggered.
  private func accept() throws(SystemError) -> Effect {
    for _ in 0..<64 {
      do {
        switch try descriptor.accept() {
        case .accepted(let connection, let peer): return .accepted(connection, from: peer)
        case .wouldBlock: return .wouldBlock(.readable)
        }
      } catch {
        switch error.errno {
        case ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, ENETUNREACH, EPERM: continue
        default: throw error
        }
      }
    }
    return .wouldBlock(.readable)
  }

  private func receive(upTo limit: Int, into output: inout OutputRawSpan) throws(SystemError) -> Effect {
    let result =
      isShared
      ? try descriptor.receiveStream(upTo: limit, into: &output)
      : try descriptor.receiveDatagram(upTo: limit, into: &output)
    switch result {
    case .received(let count, let source): return .received(UInt64(count), from: source)
    case .wouldBlock: return .wouldBlock(.readable)
    }
  }
}

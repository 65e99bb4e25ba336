import CLinux

extension Descriptor {
  /// Ends receiving, accepting and connecting for everybody who holds this socket, for good: shutdown(2), and a locked
  /// filter that drops everything, since a holder may listen again on a socket that was shut down.
  ///
  /// Connections that were accepted before stay, as does what was queued of datagrams. Raw and packet sockets can still send.
  ///
  /// Needs CAP_NET_ADMIN over the socket's network namespace for TCP (kernels of 2026, stable ones too).
  ///
  /// Succeeds again where it has been done before: several processes can hold the same socket.
  ///
  /// - Throws: EPERM without that, and where a holder has locked the filter (`SocketDescription.isFilterLocked` before the
  ///   call): then the socket was shut down, and a TCP listener can listen again.
  public borrowing func recallSocket() throws(SystemError) {
    let number = rawValue
    _ = try retrying("setsockopt(SO_ATTACH_FILTER)") { Int(clinux_socket_recall(number)) }
  }
}

import CLinux

extension Descriptor {
  /// Ends receiving, accepting and connecting for everybody who holds this socket, for good: shutdown(2), and a locked
  /// filter that drops everything, since a holder may listen again on a socket that was shut down.
  ///
  /// Connections that were accepted before stay, as does what was queued of datagrams. Raw and packet sockets can still send.
  ///
  /// - Throws: EPERM where a holder has locked a filter of its own: then the shutdown was done and can be undone by it.
  public borrowing func recallSocket() throws(SystemError) {
    let number = rawValue
    _ = try retrying("setsockopt(SO_ATTACH_FILTER)") { Int(clinux_socket_recall(number)) }
  }
}

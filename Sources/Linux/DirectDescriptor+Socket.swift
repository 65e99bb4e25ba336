import CLinux
import Glibc
import Instructions

extension DirectDescriptor {
  /// bind(2) to where the socket is bound already: shows that it is allowed, and changes nothing.
  public func bindAgain() throws(SystemError) {
    let number = try current("bind")
    _ = try retrying("bind") { Int(clinux_socket_bind_again(number)) }
  }

  /// listen(2)
  public func listen(backlog: Int32) throws(SystemError) {
    try borrowed("listen") { (descriptor) throws(SystemError) in try descriptor.listen(backlog: backlog) }
  }

  /// accept4(2): the connection is close-on-exec and blocking.
  public func accept() throws(SystemError) -> AcceptResult {
    let descriptor = Descriptor(adopting: try current("accept"))
    do throws(SystemError) {
      let result = try descriptor.accept()
      _ = descriptor.release()
      return result
    } catch {
      _ = descriptor.release()
      throw error
    }
  }

  /// connect(2)
  public func connect(to address: NetworkAddress) throws(SystemError) {
    try borrowed("connect") { (descriptor) throws(SystemError) in try descriptor.connect(to: destination(address)) }
  }

  /// sendto(2), never raising SIGPIPE.
  ///
  /// - Returns: the bytes sent, or nil where it would have to wait and may not.
  public func send(_ bytes: Span<UInt8>, to address: NetworkAddress?, nonblocking: Bool) throws(SystemError) -> Int? {
    let number = try current("send")
    let flags = nonblocking ? Int32(MSG_DONTWAIT) : 0
    var flat = clinux_address()
    if let address { flat = clinux_address(destination(address)) }
    do {
      return try unsafe bytes.withUnsafeBufferPointer { (buffer) throws(SystemError) -> Int in
        try retrying("send") {
          // SAFETY: buffer and address are valid during the call; a family of 0 is no address.
          unsafe clinux_socket_send(number, buffer.baseAddress, buffer.count, flags, &flat)
        }
      }
    } catch {
      guard error.errno == EAGAIN else { throw error }
      return nil
    }
  }

  /// recvfrom(2) into `destination`; what of a datagram does not fit is lost.
  ///
  /// - Returns: `count` is a datagram's whole length; on a stream what was stored, 0 at its end.
  public func receive(
    into destination: inout MutableSpan<UInt8>, nonblocking: Bool
  ) throws(SystemError) -> ReceiveResult {
    let number = try current("recvfrom")
    // On a stream MSG_TRUNC would throw bytes away, see tcp(7).
    let flags = (nonblocking ? Int32(MSG_DONTWAIT) : 0) | (keepsMessages ? Int32(MSG_TRUNC) : 0)
    var peer = clinux_address()
    do {
      let count = try unsafe destination.withUnsafeMutableBufferPointer { (buffer) throws(SystemError) -> Int in
        try retrying("recvfrom") {
          // SAFETY: buffer and address are valid during the call.
          unsafe clinux_socket_receive(number, buffer.baseAddress, buffer.count, flags, &peer)
        }
      }
      return .received(count: count, from: NetworkAddress(peer))
    } catch {
      guard error.errno == EAGAIN else { throw error }
      return .wouldBlock
    }
  }

  /// shutdown(2); `how` as there.
  public func shutdown(how: Int32) throws(SystemError) {
    try borrowed("shutdown") { (descriptor) throws(SystemError) in try descriptor.shutdown(how: how) }
  }

  /// getsockopt(2): the option's value, at most `limit` bytes.
  public func getOption(level: Int32, name: Int32, upTo limit: Int) throws(SystemError) -> [UInt8] {
    let number = try current("getsockopt")
    var value = [UInt8](repeating: 0, count: limit)
    var length = socklen_t(limit)
    _ = try retrying("getsockopt") {
      // SAFETY: the array has `length` bytes during the call.
      unsafe Int(getsockopt(number, level, name, &value, &length))
    }
    value.removeLast(limit - min(Int(length), limit))
    return value
  }

  /// setsockopt(2)
  public func setOption(level: Int32, name: Int32, _ value: Span<UInt8>) throws(SystemError) {
    let number = try current("setsockopt")
    _ = try unsafe value.withUnsafeBufferPointer { (buffer) throws(SystemError) -> Int in
      try retrying("setsockopt") {
        // SAFETY: the buffer is valid during the call.
        unsafe Int(setsockopt(number, level, name, buffer.baseAddress, socklen_t(buffer.count)))
      }
    }
  }

  /// A receive takes one message, and cuts it off where it does not fit. What is not known counts as a stream.
  private var keepsMessages: Bool {
    ["UDP", "UDPv6", "RAW", "RAWv6", "PACKET", "PING", "PINGv6", "UNIX"].contains(socketProtocol)
  }

  /// Raw sockets have no ports, and raw IPv6 would take one for the protocol number to send (ipv6(7), rawv6_sendmsg in
  /// net/ipv6/raw.c).
  private func destination(_ address: NetworkAddress) -> NetworkAddress {
    guard socketProtocol.hasPrefix("RAW") else { return address }
    return NetworkAddress(family: address.family, bytes: address.bytes, port: 0)
  }
}

import Linux

/// A bare broker inside this process: a thread that answers each datagram of a socket pair with one of the same size,
/// and lets the kernel stamp the sender as posternd does. What a mediated round trip is held against.
final class PingPong {
  private let pair: MessageSocketPair
  private var buffer = MessageBuffer(capacity: 256)

  init() throws(SystemError) {
    pair = try MessageSocket.pair()
    let server = try pair.second.duplicate()
    try MessageSocket.passCredentials(server.rawValue)
    let end = server.release()
    // It ends when our end is closed.
    _ = try Thread("ping-pong") { PingPong.serve(Descriptor(adopting: end)) }
    buffer.append([UInt8](repeating: 0, count: 64))
  }

  /// One round trip of 64 bytes.
  func exchange() throws(SystemError) {
    let fd = pair.first.rawValue
    buffer.resize(to: 64)
    _ = try buffer.withBytes { (bytes) throws(SystemError) in try MessageSocket.send(fd, bytes, blocking: true) }
    _ = try MessageSocket.receive(fd, into: &buffer, blocking: true)
  }

  private static func serve(_ end: consuming Descriptor) {
    let end = consume end
    var buffer = MessageBuffer(capacity: 256)
    while true {
      do throws(SystemError) {
        guard case .ready(let message) = try MessageSocket.receive(end.rawValue, into: &buffer, blocking: true),
          message.count > 0
        else { return }
        _ = try buffer.withBytes { (bytes) throws(SystemError) in
          try MessageSocket.send(end.rawValue, bytes, blocking: true)
        }
      } catch { return }
    }
  }
}

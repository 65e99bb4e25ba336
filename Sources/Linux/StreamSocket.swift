import CLinux
import Glibc

/// System calls on SOCK_STREAM unix sockets, by descriptor number; what is the same for both types is `MessageSocket`'s.
public enum StreamSocket {
  /// Listens at `path`, non-blocking; a dead socket there is replaced, a live one is EADDRINUSE.
  public static func listen(at path: String, mode: UInt32, backlog: Int32 = 128) throws(SystemError) -> Descriptor {
    Descriptor(
      adopting: Int32(
        try retrying("listen", path) {
          // SAFETY: the string lives during the call.
          unsafe Int(clinux_unix_listen(path, CLINUX_UNIX_STREAM, mode, backlog))
        }))
  }

  /// Receives what is there now into `buffer`, from its start, and no further than the bytes that descriptors came with.
  public static func receive(_ fd: Int32, into buffer: inout MessageBuffer) throws(SystemError)
    -> Availability<ReceivedPart>
  {
    var received = clinux_received()
    guard try MessageSocket.receive(fd, into: &buffer, blocking: false, &received) else { return .wouldBlock }
    let lost = received.control_truncated != 0
    return .ready(
      ReceivedPart(count: buffer.count, descriptors: AttachedDescriptors(&received), lostDescriptors: lost))
  }
}

/// A piece of a stream. Descriptors that are not taken are closed with this value.
public struct ReceivedPart: ~Copyable, Sendable {
  /// 0: the stream has ended.
  public let count: Int
  public var descriptors: AttachedDescriptors
  /// Descriptors did not fit, into the message or into this process, and are closed.
  public let lostDescriptors: Bool
}

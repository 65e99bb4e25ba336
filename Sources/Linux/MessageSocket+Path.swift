import CLinux
import Glibc

extension MessageSocket {
  /// Listens at `path`; a dead socket there is replaced, a live one is EADDRINUSE.
  public static func listen(at path: String, mode: UInt32, backlog: Int32 = 128) throws(SystemError) -> Descriptor {
    Descriptor(
      adopting: Int32(
        try retrying("listen", path) {
          // SAFETY: the string lives during the call.
          unsafe Int(clinux_unix_listen(path, CLINUX_UNIX_MESSAGES, mode, backlog))
        }))
  }

  /// Gives the socket file at `path` exactly this mode, whatever the umask is; a link there is not followed.
  public static func setMode(of path: String, to mode: UInt32) throws(SystemError) {
    _ = try retrying("chmod", path) {
      // SAFETY: the string lives during the call.
      unsafe Int(clinux_unix_set_mode(path, mode))
    }
  }

  /// Connects to `path`; the descriptor blocks.
  ///
  /// - Parameter timeoutMilliseconds: where it is not 0 this and every later send and receive gives up after so long
  ///   (EAGAIN).
  public static func connect(to path: String, timeoutMilliseconds: Int32 = 0) throws(SystemError) -> Descriptor {
    Descriptor(
      adopting: Int32(
        try retrying("connect", path) {
          // SAFETY: as above.
          unsafe Int(clinux_unix_connect(path, timeoutMilliseconds))
        }))
  }

  /// The next connection of a listener; it does not block.
  public static func accept(_ listener: Int32) throws(SystemError) -> Availability<Descriptor> {
    do {
      return .ready(Descriptor(adopting: Int32(try retrying("accept4") { Int(clinux_unix_accept(listener)) })))
    } catch {
      // ECONNABORTED: the peer went away while it waited; there may be others (accept(2)).
      if error.errno == EAGAIN || error.errno == ECONNABORTED { return .wouldBlock }
      throw error
    }
  }

  /// Who connected (SO_PEERCRED): the process at the time of connect(2), not the one that sends.
  public static func peer(_ fd: Int32) throws(SystemError) -> SenderCredentials {
    var credentials = clinux_peer()
    _ = try retrying("getsockopt(SO_PEERCRED)") {
      // SAFETY: the structure is written by the call.
      unsafe Int(clinux_unix_peer(fd, &credentials))
    }
    return SenderCredentials(pid: credentials.pid, uid: credentials.uid, gid: credentials.gid)
  }
}

import CLinux
import Glibc

extension Descriptor {
  /// bind(2) to a path of the file system, which must not exist.
  public borrowing func bind(toPath path: String) throws(SystemError) {
    let number = rawValue
    guard !path.utf8.contains(0) else { throw SystemError(errno: EINVAL, operation: "bind", path: path) }
    // SAFETY: the string is valid during the call.
    _ = try retrying("bind", path) { unsafe Int(clinux_socket_bind_unix(number, path)) }
  }

  /// connect(2) to a listener at a path.
  public borrowing func connect(toPath path: String) throws(SystemError) {
    let number = rawValue
    guard !path.utf8.contains(0) else { throw SystemError(errno: EINVAL, operation: "connect", path: path) }
    // SAFETY: the string is valid during the call.
    _ = try retrying("connect", path) { unsafe Int(clinux_socket_connect_unix(number, path)) }
  }
}

/// unlink(2)
public func removeFile(at path: String) throws(SystemError) {
  guard !path.utf8.contains(0) else { throw SystemError(errno: EINVAL, operation: "unlink", path: path) }
  // SAFETY: the string is valid during the call.
  _ = try retrying("unlink", path) { unsafe Int(Glibc.unlink(path)) }
}

import Authority
import Glibc
import Linux

/// The name of a unix listener in the file system, made at bind and removed by its maker only.
struct BoundName: Sendable {
  let path: String
  let identity: FileIdentity

  /// Binds the socket to `path`. A socket file that nobody answers at is replaced.
  ///
  /// - Throws: EEXIST where something other than a socket stands at the path, EADDRINUSE where somebody answers,
  ///   EINVAL for a relative path, and what bind(2) gives.
  init(binding descriptor: borrowing Descriptor, to path: String) throws(SystemError) {
    guard path.hasPrefix("/") else { throw SystemError(errno: EINVAL, operation: "bind", path: path) }
    try Self.removeStale(path)
    // Whoever puts a file there in between makes this fail: bind(2) never replaces.
    try descriptor.bind(toPath: path)
    do {
      // Whoever reaches the folder may connect, as with systemd's sockets: not the broker's umask, which would shut out
      // everybody that the application is there for.
      try MessageSocket.setMode(of: path, to: 0o666)
    } catch {
      try? removeFile(at: path)
      throw error
    }
    self.path = path
    identity = FileIdentity(try Descriptor.pin(path, followingLink: false).status())
  }

  /// Removes the name if it still is the one that was made; another broker's or program's stays.
  func remove() {
    guard let now = try? Descriptor.pin(path, followingLink: false).status(), now.kind == .socket,
      FileIdentity(now) == identity
    else { return }
    try? removeFile(at: path)
  }

  /// unix(7): a listener's file outlives it, and connecting to such a file is refused.
  private static func removeStale(_ path: String) throws(SystemError) {
    let found: FileStatus
    do {
      found = try Descriptor.pin(path, followingLink: false).status()
    } catch {
      guard error.errno == ENOENT else { throw error }
      return
    }
    guard found.kind == .socket else { throw SystemError(errno: EEXIST, operation: "bind", path: path) }
    guard isAbandoned(path) else { throw SystemError(errno: EADDRINUSE, operation: "bind", path: path) }
    // A server that took the name over while we asked keeps it. What is left of the race is the directory's
    // owner's to lose: only who may write there can run it.
    guard let now = try? Descriptor.pin(path, followingLink: false).status(), now == found else {
      throw SystemError(errno: EADDRINUSE, operation: "bind", path: path)
    }
    try removeFile(at: path)
  }

  /// Only a refused connection says that nobody is there; any other answer, also none, means that the file is used.
  private static func isAbandoned(_ path: String) -> Bool {
    do {
      let probe = try Descriptor.socket(.unixStream)
      try probe.connect(toPath: path)
      return false
    } catch {
      return error.errno == ECONNREFUSED
    }
  }
}

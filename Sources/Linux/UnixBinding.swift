import CLinux
import Glibc

/// The name that a unix socket is to have: a directory, by identity, and the last component.
public struct SocketPlace: Sendable, Hashable {
  public var device: UInt64
  public var inode: UInt64
  /// Without a slash or a zero byte.
  public var name: [UInt8]

  public init(device: UInt64, inode: UInt64, name: [UInt8]) {
    self.device = device
    self.inode = inode
    self.name = name
  }

  /// What an absolute path means in our own root, now. ENOENT where the directory does not exist.
  public init(path: String) throws(SystemError) {
    guard let split = UnixBinding.split(Array(path.utf8)), split.directory.first == UInt8(ascii: "/") else {
      throw SystemError(errno: EINVAL, operation: "bind", path: path)
    }
    let directory = try Descriptor.pin(String(decoding: split.directory, as: UTF8.self)).status()
    self.init(device: directory.device, inode: directory.inode, name: split.name)
  }
}

/// Binding a unix socket to a path in another process's place.
public struct UnixBinding {
  /// Gives the calling thread a root, working directory and umask of its own for the rest of its life: once, before the
  /// first `bind` on it.
  public static func separateThread() throws(SystemError) {
    _ = try retrying("unshare(CLONE_FS)") { Int(clinux_thread_own_surroundings()) }
  }

  /// Makes the name of a socket of the program's, as bind(2) by the program would, but with our permission to write to
  /// the directory.
  ///
  /// The directory is resolved in the program's root and pinned; if it is the expected one the socket is bound there and
  /// nowhere else. The file belongs to the program and has the mode that its umask leaves.
  ///
  /// getsockname(2) tells the name that was bound. That is the program's own where it is absolute, means the same in our
  /// root, and only root can change where it leads; else it is the last component, bound from the pinned directory.
  ///
  /// - Parameters:
  ///   - socket: fetched from the program and checked to be an unbound unix socket.
  ///   - name: the bytes of sun_path as far as the program's address length says.
  ///   - expected: what the policy's object names.
  ///   - owner: `surroundings.credentials()`, read after the program was seen to wait.
  /// - Throws: EACCES where the name is not the expected one, or is abstract or empty (never ours); EINVAL where the
  ///   thread has not been separated; EADDRINUSE where something stands at the path, even a dangling link; EPERM where we
  ///   may not act as `owner`. Traps where our own credentials cannot be restored.
  public static func bind(
    _ socket: borrowing Descriptor, name: [UInt8], surroundings: borrowing PathSurroundings, expected: SocketPlace,
    as owner: FileCredentials
  ) throws(SystemError) {
    guard let split = split(Array(name.prefix { $0 != 0 })), split.name == expected.name else {
      throw SystemError(errno: EACCES, operation: "bind")
    }
    let directory = try surroundings.resolve(split.directory)
    let status = try directory.status()
    guard status.device == expected.device, status.inode == expected.inode else {
      throw SystemError(errno: EACCES, operation: "bind")
    }
    let (fd, place) = (socket.rawValue, directory.rawValue)
    var raw = clinux_bind_as(uid: owner.user, gid: owner.group, umask: owner.umask)
    let bound = surroundings.isSteady(split.directory) ? split.directory + split.name : split.name
    _ = try retrying("bind") {
      // SAFETY: the array and the structure live during the call, and the array's size is passed.
      unsafe Int(clinux_unix_bind_as(fd, place, bound, bound.count, &raw))
    }
  }

  /// Whether a program's name for a socket means this place.
  public static func names(_ name: [UInt8], _ place: SocketPlace, in surroundings: borrowing PathSurroundings)
    throws(SystemError) -> Bool
  {
    guard let split = split(name), split.name == place.name else { return false }
    let directory = try surroundings.resolve(split.directory).status()
    return directory.device == place.device && directory.inode == place.inode
  }

  /// The directory, which may be ".", and the last component; nil for what names no file that could be made.
  static func split(_ path: [UInt8]) -> (directory: [UInt8], name: [UInt8])? {
    let slash = UInt8(ascii: "/")
    let end = path.lastIndex(of: slash).map { $0 + 1 } ?? 0
    let name = Array(path[end...])
    guard !name.isEmpty, name != Array(".".utf8), name != Array("..".utf8) else { return nil }
    return (end == 0 ? Array(".".utf8) : Array(path[..<end]), name)
  }
}

extension PathSurroundings {
  /// Whether nobody but root can make `path` lead to another directory than it does now, and it leads there from our root
  /// too: then it can be looked up a second time.
  ///
  /// Every directory that something is looked up in belongs to root, and nobody else may write to it; there is no
  /// symbolic link and no FUSE file system, which may say anything about its files' owners, on the way.
  fileprivate borrowing func isSteady(_ path: [UInt8]) -> Bool {
    let slash = UInt8(ascii: "/")
    guard path.first == slash, let root = try? openPath(AT_FDCWD, "/", CLINUX_PATH_DIRECTORY),
      let place = try? PathPlace(root), place == rootPlace
    else { return false }
    var directory = root
    for name in path.split(separator: slash) {
      guard let facts = try? pathFacts(directory), facts.uid == 0, facts.mode & (S_IWGRP | S_IWOTH) == 0,
        facts.type != clinux_type_fuse, !name.elementsEqual("..".utf8),
        let next = try? openPath(directory.rawValue, name, CLINUX_PATH_DIRECTORY)
      else { return false }
      directory = next
    }
    return true
  }
}

import CLinux
import Glibc

/// What a thread makes files with: credentials(7), umask(2).
public struct FileCredentials: Sendable, Hashable {
  /// fsuid
  public var user: UInt32
  /// fsgid
  public var group: UInt32
  public var umask: UInt32

  public init(user: UInt32, group: UInt32, umask: UInt32) {
    self.user = user
    self.group = group
    self.umask = umask
  }
}

extension PathSurroundings {
  /// The thread's, as our user namespace numbers them. EINVAL where proc(5) does not tell.
  public func credentials() throws(SystemError) -> FileCredentials {
    let file = try openPath(task.rawValue, "status", CLINUX_PATH_READ)
    let text = String(decoding: try ProcFile.read(file, path: "status", limit: 16384), as: UTF8.self)
    func field(_ key: String, _ index: Int, radix: Int = 10) -> UInt32? {
      guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("\(key):") }) else { return nil }
      let words = line.split { $0 == "\t" || $0 == " " }
      return index < words.count ? UInt32(words[index], radix: radix) : nil
    }
    // Real, effective, saved set, file system.
    guard let user = field("Uid", 4), let group = field("Gid", 4), let umask = field("Umask", 1, radix: 8) else {
      throw SystemError(errno: EINVAL, operation: "parse", path: "status")
    }
    return FileCredentials(user: user, group: group, umask: umask)
  }
}

import Glibc

/// Small files of proc(5), read whole.
public enum ProcFile {
  /// Reads at most `limit` bytes of `path`; a longer file is cut there.
  public static func read(_ path: String, limit: Int = 65536) throws(SystemError) -> [UInt8] {
    try read(try open(path), path: path, limit: limit)
  }

  /// Reads at most `limit` bytes of an open file from where it stands.
  static func read(_ file: borrowing Descriptor, path: String, limit: Int) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    var count = 0
    while count < limit {
      let fd = file.rawValue
      let got = try retrying("read", path) {
        unsafe bytes.withUnsafeMutableBytes { buffer in
          // SAFETY: the part that is given lies inside the array's storage.
          unsafe Glibc.read(fd, buffer.baseAddress.map { unsafe $0 + count }, limit - count)
        }
      }
      if got == 0 { break }
      count += got
    }
    bytes.removeLast(limit - count)
    return bytes
  }

  /// Opens `path` read-only.
  public static func open(_ path: String) throws(SystemError) -> Descriptor {
    Descriptor(
      adopting: Int32(
        try retrying("open", path) {
          // SAFETY: the string lives during the call.
          unsafe Int(Glibc.open(path, O_RDONLY | O_CLOEXEC))
        }))
  }

  /// Device and inode of what `path` leads to, links followed.
  static func status(_ path: String) throws(SystemError) -> stat {
    var information = stat()
    _ = try retrying("stat", path) {
      // SAFETY: the structure is written by the call.
      unsafe Int(stat(path, &information))
    }
    return information
  }

  /// Where the link at `path` points.
  public static func readLink(_ path: String) throws(SystemError) -> String {
    var characters = [CChar](repeating: 0, count: 4096)
    let count = try retrying("readlink", path) {
      // SAFETY: the array's size is passed.
      unsafe readlink(path, &characters, 4096)
    }
    return String(decoding: characters[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

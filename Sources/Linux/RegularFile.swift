import Glibc

/// Whole regular files, read with a bound: for files that others may have put there.
public enum RegularFile {
  /// Reads a file of at most `limit` bytes.
  ///
  /// Never waits: a FIFO or device is opened without blocking and refused (EINVAL), as is a directory (EISDIR).
  /// A larger file is EFBIG.
  public static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
    // O_NONBLOCK: open(2) of a FIFO would wait for a writer; it means nothing for a regular file.
    // SAFETY: Swift passes the path as a C string that lives through the call.
    let number = try retrying("open", path) {
      unsafe Int(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY))
    }
    let file = Descriptor(adopting: Int32(number))
    let descriptor = file.rawValue
    var status = stat()
    // SAFETY: `status` lives through the call.
    _ = try retrying("fstat", path) { unsafe Int(fstat(descriptor, &status)) }
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw SystemError(errno: EISDIR, operation: "read", path: path)
    default: throw SystemError(errno: EINVAL, operation: "read", path: path)
    }
    guard status.st_size <= limit else { throw SystemError(errno: EFBIG, operation: "read", path: path) }
    var content: [UInt8] = []
    // Files of /proc and /sys say size 0; a file may also grow meanwhile.
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = try retrying("read", path) {
        // SAFETY: the pointer is used only during the call, with the array's own length.
        unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      }
      if count == 0 { return content }
      content += chunk[..<count]
      guard content.count <= limit else { throw SystemError(errno: EFBIG, operation: "read", path: path) }
    }
  }

  /// The paths of the entries of a folder whose names end in `suffix` and do not begin with a dot, sorted by the
  /// names' bytes. A folder that does not exist has none.
  public static func paths(in folder: String, suffix: String) throws(SystemError) -> [String] {
    // SAFETY: the stream is closed once, below; nothing of it is used afterwards.
    guard let stream = unsafe opendir(folder) else {
      let code = errno
      if code == ENOENT { return [] }
      throw SystemError(errno: code, operation: "opendir", path: folder)
    }
    defer { _ = unsafe closedir(stream) }
    var names = try unsafe entryNames(of: stream, path: folder).filter { $0.hasSuffix(suffix) && !$0.hasPrefix(".") }
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    return names.map { "\(folder)/\($0)" }
  }
}

/// The names in a folder, in no order; those that are not UTF-8 are left out.
///
/// SAFETY: the stream is open, and no other thread has it.
func entryNames(of stream: OpaquePointer, path: String) throws(SystemError) -> [String] {
  var names: [String] = []
  while true {
    errno = 0
    // SAFETY: the entry is valid until the next readdir(3) on this stream.
    guard let entry = unsafe readdir(stream) else {
      let code = errno
      guard code == 0 else { throw SystemError(errno: code, operation: "readdir", path: path) }
      return names
    }
    // SAFETY: d_name is null-terminated within the record.
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
      unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(validatingCString: $0) }
    }
    if let name { names.append(name) }
  }
}

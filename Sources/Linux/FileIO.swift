import CLinux
import Glibc

/// What a file is, as far as an object asks.
public enum FileKind: Sendable, Hashable {
  case regular
  case blockDevice
  case characterDevice
  case socket
  case other
}

/// fstat(2), in the parts that objects use.
public struct FileStatus: Sendable, Hashable {
  public var kind: FileKind
  /// The file system that the name is on.
  public var device: UInt64
  public var inode: UInt64
  /// Names that it has; 0: it was removed, and only descriptors hold it.
  public var links: UInt64
  /// The device that a device file stands for; 0 for others.
  public var specialDevice: UInt64
  /// Bytes; 0 for devices.
  public var size: UInt64
  /// Preferred bytes of one transfer.
  public var blockSize: UInt32
}

/// What an open for use may do.
public enum FileAccess: Sendable, Hashable {
  case readOnly
  case readWrite
}

extension Descriptor {
  /// Pins what `path` names without opening it for use (O_PATH): no driver is called, no device wakes up.
  ///
  /// - Parameter followingLink: whether a symbolic link in the last component is followed.
  public static func pin(_ path: String, followingLink: Bool = true) throws(SystemError) -> Descriptor {
    guard !path.utf8.contains(0) else { throw SystemError(errno: EINVAL, operation: "open", path: path) }
    // SAFETY: the string is valid during the call.
    let number = try retrying("open", path) { unsafe Int(clinux_file_pin(path, followingLink ? 1 : 0)) }
    return Descriptor(adopting: Int32(number))
  }

  /// Opens for use what this descriptor pins, through /proc/thread-self/fd: the path is not walked again.
  public borrowing func reopen(_ access: FileAccess) throws(SystemError) -> Descriptor {
    let number = rawValue
    let flags = access == .readOnly ? O_RDONLY : O_RDWR
    return Descriptor(adopting: Int32(try retrying("open") { Int(clinux_file_reopen(number, flags)) }))
  }

  /// fstat(2)
  public borrowing func status() throws(SystemError) -> FileStatus {
    let number = rawValue
    var raw = clinux_file_status()
    // SAFETY: the structure is valid during the call.
    _ = try retrying("fstat") { unsafe Int(clinux_file_status(number, &raw)) }
    let kind: FileKind =
      switch raw.mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFBLK: .blockDevice
      case S_IFCHR: .characterDevice
      case S_IFSOCK: .socket
      default: .other
      }
    return FileStatus(
      kind: kind, device: raw.device, inode: raw.inode, links: raw.links, specialDevice: raw.special_device,
      size: raw.size,
      blockSize: raw.block_size)
  }

  /// Where the file is in the file system, without symbolic links (proc_pid_fd(5)).
  public borrowing func resolvedPath() throws(SystemError) -> String {
    try ProcFile.readLink("/proc/thread-self/fd/\(rawValue)")
  }

  /// Whether it lies on a file system that stands for the kernel itself, such as proc(5) or sysfs(5) (fstatfs(2)).
  public borrowing func isOnKernelFileSystem() throws(SystemError) -> Bool {
    let number = rawValue
    return try retrying("fstatfs") { Int(clinux_file_is_kernels(number)) } != 0
  }

  /// Appends bytes from the page cache only; never waits for the device.
  ///
  /// - Parameter limit: bytes wanted; `output` must have room for them.
  /// - Returns: how many were appended (fewer where the cache or the file ends), or nil where not even the first byte
  ///   is cached.
  /// - Throws: EOPNOTSUPP or EINVAL where the kernel or the file's driver cannot do this at all.
  public borrowing func readCached(at offset: UInt64, upTo limit: Int, into output: inout OutputRawSpan)
    throws(SystemError) -> Int?
  {
    do {
      return try unsafe fill(&output, upTo: limit, "preadv2") { number, buffer, count in
        // SAFETY: `fill` gives memory that is valid during the call and has `count` bytes.
        unsafe clinux_file_read_cached(number, buffer, count, off_t(offset))
      }
    } catch {
      guard error.errno == EAGAIN else { throw error }
      return nil
    }
  }

  /// pread(2): appends bytes, waiting for the device.
  ///
  /// - Returns: how many were appended; 0 at the end of the file.
  public borrowing func read(at offset: UInt64, upTo limit: Int, into output: inout OutputRawSpan)
    throws(SystemError) -> Int
  {
    try unsafe fill(&output, upTo: limit, "pread") { number, buffer, count in
      // SAFETY: `fill` gives memory that is valid during the call and has `count` bytes.
      unsafe pread(number, buffer, count, off_t(offset))
    }
  }

  /// pwrite(2)
  ///
  /// - Returns: how many bytes were written.
  public borrowing func write(_ bytes: RawSpan, at offset: UInt64) throws(SystemError) -> Int {
    let number = rawValue
    return try unsafe bytes.withUnsafeBytes { (buffer) throws(SystemError) -> Int in
      // SAFETY: the buffer is valid during the call.
      try retrying("pwrite") { unsafe pwrite(number, buffer.baseAddress, buffer.count, off_t(offset)) }
    }
  }

  /// fdatasync(2)
  public borrowing func synchronize() throws(SystemError) {
    let number = rawValue
    _ = try retrying("fdatasync") { Int(fdatasync(number)) }
  }

  /// fallocate(2) FALLOC_FL_PUNCH_HOLE: the bytes read as zero afterwards, the size stays.
  public borrowing func punchHole(at offset: UInt64, length: UInt64) throws(SystemError) {
    let number = rawValue
    _ = try retrying("fallocate") { Int(clinux_file_punch_hole(number, off_t(offset), off_t(length))) }
  }

  private borrowing func fill(
    _ output: inout OutputRawSpan, upTo limit: Int, _ operation: StaticString,
    _ body: (Int32, UnsafeMutableRawPointer?, Int) -> Int
  ) throws(SystemError) -> Int {
    let number = rawValue
    return try unsafe output.withUnsafeMutableBytes { (buffer, filled) throws(SystemError) -> Int in
      // SAFETY: only the free part of the buffer is given to the kernel.
      let free = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let room = min(limit, free.count)
      let count = try retrying(operation) { unsafe body(number, free.baseAddress, room) }
      filled += count
      return count
    }
  }
}

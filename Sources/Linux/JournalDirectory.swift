import Glibc

/// A directory of journal files, held open so that a renamed path does not lead elsewhere.
public struct JournalDirectory: ~Copyable, Sendable {
  private let descriptor: Descriptor
  private let path: String

  /// Opens the directory; its last component may not be a symbolic link.
  ///
  /// - Parameter create: make it with mode 0700 if it does not exist; its parents must exist.
  public init(path: String, create: Bool = false) throws(SystemError) {
    if create {
      // SAFETY: the string's bytes live for the call.
      let made = unsafe mkdir(path, 0o700)
      if made != 0, errno != EEXIST { throw SystemError(errno: errno, operation: "mkdir", path: path) }
    }
    let number = try retrying("open", path) {
      Int(unsafe open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
    }
    descriptor = Descriptor(adopting: Int32(number))
    self.path = path
  }

  /// Whether anybody may rename or remove the files in it (others may write, no sticky bit; inode(7)).
  public borrowing func isWritableByOthers() throws(SystemError) -> Bool {
    let number = descriptor.rawValue
    var status = stat()
    // SAFETY: fills our own structure.
    _ = try retrying("fstat", path) { Int(unsafe fstat(number, &status)) }
    return status.st_mode & S_IWOTH != 0 && status.st_mode & S_ISVTX == 0
  }

  /// The names in it, in no order, without `.` and `..`; names that are not UTF-8 are left out.
  public borrowing func names() throws(SystemError) -> [String] {
    let number = descriptor.rawValue
    // A descriptor of its own, because fdopendir(3) takes it over and moves its offset.
    let own = try retrying("open", path) {
      Int(unsafe openat(number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    }
    // SAFETY: the stream owns the descriptor and is closed below; an entry is used before the next readdir(3).
    guard let stream = unsafe fdopendir(Int32(own)) else {
      let code = errno
      _ = Descriptor(adopting: Int32(own))
      throw SystemError(errno: code, operation: "fdopendir", path: path)
    }
    defer { _ = unsafe closedir(stream) }
    return try unsafe entryNames(of: stream, path: path).filter { $0 != "." && $0 != ".." }
  }

  /// Opens a file to read; nil: there is none.
  public borrowing func openToRead(_ name: String) throws(SystemError) -> JournalFile? {
    try openFile(name, O_RDONLY)
  }

  /// Opens an existing file to read and write; nil: there is none.
  public borrowing func openToWrite(_ name: String) throws(SystemError) -> JournalFile? {
    try openFile(name, O_RDWR)
  }

  /// Makes a file with mode 0600; EEXIST where the name is taken.
  public borrowing func create(_ name: String) throws(SystemError) -> JournalFile {
    let number = descriptor.rawValue
    // SAFETY: the name is a C string during the call.
    let file = try retrying("open", "\(path)/\(name)") {
      Int(unsafe openat(number, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600))
    }
    return JournalFile(Descriptor(adopting: Int32(file)), path: "\(path)/\(name)")
  }

  /// Opens or makes a file with mode 0600 and locks it (flock(2)) until the returned file is closed.
  ///
  /// nil: another process, or another opening in this one, has it locked.
  public borrowing func lock(_ name: String) throws(SystemError) -> JournalFile? {
    let number = descriptor.rawValue
    // SAFETY: the name is a C string during the call.
    let file = Descriptor(
      adopting: Int32(
        try retrying("open", "\(path)/\(name)") {
          Int(unsafe openat(number, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600))
        }))
    let locked = file.rawValue
    do {
      _ = try retrying("flock", "\(path)/\(name)") { Int(flock(locked, LOCK_EX | LOCK_NB)) }
    } catch {
      if error.errno == EWOULDBLOCK { return nil }
      throw error
    }
    return JournalFile(file, path: "\(path)/\(name)")
  }

  public borrowing func remove(_ name: String) throws(SystemError) {
    let number = descriptor.rawValue
    // SAFETY: the name is a C string during the call.
    _ = try retrying("unlink", "\(path)/\(name)") { Int(unsafe unlinkat(number, name, 0)) }
  }

  /// Gives a file another name; a file of that name is replaced at once (rename(2)).
  public borrowing func rename(_ name: String, to other: String) throws(SystemError) {
    let number = descriptor.rawValue
    // SAFETY: the names are C strings during the call.
    _ = try retrying("rename", "\(path)/\(name)") { Int(unsafe renameat(number, name, number, other)) }
  }

  /// Waits until names made and removed in it are on disk (fsync(2)).
  public borrowing func synchronize() throws(SystemError) {
    let number = descriptor.rawValue
    _ = try retrying("fsync", path) { Int(fsync(number)) }
  }

  private borrowing func openFile(_ name: String, _ flags: Int32) throws(SystemError) -> JournalFile? {
    let number = descriptor.rawValue
    do {
      // SAFETY: the name is a C string during the call.
      let file = try retrying("open", "\(path)/\(name)") {
        Int(unsafe openat(number, name, flags | O_NOFOLLOW | O_CLOEXEC))
      }
      return JournalFile(Descriptor(adopting: Int32(file)), path: "\(path)/\(name)")
    } catch {
      if error.errno == ENOENT { return nil }
      throw error
    }
  }
}

/// A regular file that is read and written at explicit offsets.
public struct JournalFile: ~Copyable, Sendable {
  /// The errno of `JournalDirectory.create` where the name is taken.
  public static let nameTaken = EEXIST

  private let descriptor: Descriptor
  private let path: String

  init(_ descriptor: consuming Descriptor, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Bytes.
  public borrowing func size() throws(SystemError) -> UInt64 {
    do { return try descriptor.status().size } catch { throw named(error) }
  }

  /// Which file it is, and in what state.
  public borrowing func version() throws(SystemError) -> FileVersion {
    let number = descriptor.rawValue
    var status = stat()
    // SAFETY: fills our own structure.
    _ = try retrying("fstat", path) { Int(unsafe fstat(number, &status)) }
    return FileVersion(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
      seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec))
  }

  /// Whether it has no name any more.
  public borrowing func isRemoved() throws(SystemError) -> Bool {
    do { return try descriptor.status().links == 0 } catch { throw named(error) }
  }

  /// Appends up to `count` bytes from `offset` to `bytes`; returns how many, 0 at the end.
  public borrowing func read(into bytes: inout [UInt8], count: Int, at offset: UInt64) throws(SystemError) -> Int {
    let number = descriptor.rawValue
    let position = off_t(clamping: offset)
    var chunk: [UInt8] = []
    let got = try retrying("pread", path) {
      var result = 0
      // SAFETY: the buffer has `count` bytes of capacity, and as many are used as pread(2) has filled.
      chunk = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
        unsafe result = pread(number, buffer.baseAddress, count, position)
        used = max(0, result)
      }
      return result
    }
    bytes.append(contentsOf: chunk)
    return got
  }

  /// Writes bytes at `offset`; returns how many, which may be fewer (pwrite(2)).
  public borrowing func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(SystemError) -> Int {
    do {
      // SAFETY: bytes are bytes; the span lives for the call.
      return try descriptor.write(unsafe bytes.bytes, at: offset)
    } catch { throw named(error) }
  }

  public borrowing func truncate(to length: UInt64) throws(SystemError) {
    let number = descriptor.rawValue
    _ = try retrying("ftruncate", path) { Int(ftruncate(number, off_t(clamping: length))) }
  }

  /// Waits until the data and the length are on disk (fdatasync(2)).
  public borrowing func synchronize() throws(SystemError) {
    do { try descriptor.synchronize() } catch { throw named(error) }
  }

  private borrowing func named(_ error: SystemError) -> SystemError {
    SystemError(errno: error.errno, operation: error.operation, path: path)
  }
}

/// A file as it was when it was written to last; where it is written to again it is another one.
public struct FileVersion: Sendable, Hashable {
  var device: UInt64
  var inode: UInt64
  var size: Int64
  /// Of the last modification.
  var seconds: Int64
  var nanoseconds: Int64
}

import CLinux
import Glibc
import Instructions
import Synchronization

/// An object's own descriptor, whose number an application knows, may use for plain system calls, and may close behind
/// our back.
///
/// It is told apart from a later user of the same number by the file's device and inode, before each call. Thread-safe.
/// A forked child has it as its parent has. Every call fails with EBADF once the number means something else.
public final class DirectDescriptor: Sendable {
  private let held: Atomic<Int32>
  private let device: UInt64
  private let inode: UInt64
  public let kind: FileKind
  /// Whether bytes have positions (lseek(2)).
  public let isSeekable: Bool
  /// What the kernel calls a socket's protocol, such as `TCPv6`; empty for others.
  public let socketProtocol: String

  public init(_ descriptor: consuming Descriptor) throws(SystemError) {
    var device: UInt64 = 0
    var inode: UInt64 = 0
    let number = descriptor.rawValue
    // SAFETY: both numbers are ours and valid during the call.
    _ = try retrying("statx") { unsafe Int(clinux_cached_identity(number, &device, &inode)) }
    kind = try descriptor.status().kind
    isSeekable = lseek(number, 0, SEEK_CUR) >= 0
    socketProtocol = kind == .socket ? Self.protocolName(number) : ""
    self.device = device
    self.inode = inode
    held = Atomic(descriptor.release())
  }

  deinit { try? close() }

  private static func protocolName(_ number: Int32) -> String {
    var name = [CChar](repeating: 0, count: 64)
    // SAFETY: the array has `count` bytes during the call.
    let size = unsafe clinux_socket_protocol_name(number, &name, name.count)
    return String(decoding: name.prefix(max(size - 1, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// What the application knows it by; -1 once closed.
  public var number: Int32 { held.load(ordering: .acquiring) }

  /// Whether the number still means this object.
  public var isOpen: Bool { isOurs(number) }

  private func isOurs(_ number: Int32) -> Bool {
    guard number >= 0 else { return false }
    var device: UInt64 = 0
    var inode: UInt64 = 0
    // SAFETY: both numbers are ours and valid during the call.
    guard unsafe clinux_cached_identity(number, &device, &inode) == 0 else { return false }
    return device == self.device && inode == self.inode
  }

  /// The number for one system call, or EBADF.
  func current(_ operation: StaticString) throws(SystemError) -> Int32 {
    let number = number
    guard isOurs(number) else { throw SystemError(errno: EBADF, operation: "\(operation)") }
    return number
  }

  /// Runs `body` with the number as a descriptor, which stays open.
  func borrowed<Value>(
    _ operation: StaticString, _ body: (borrowing Descriptor) throws(SystemError) -> Value
  ) throws(SystemError) -> Value {
    let descriptor = Descriptor(adopting: try current(operation))
    let outcome: Result<Value, SystemError>
    do throws(SystemError) { outcome = .success(try body(descriptor)) } catch { outcome = .failure(error) }
    // Not ours alone to close.
    _ = descriptor.release()
    return try outcome.get()
  }

  /// Closes the number, if it still means this object; what threads are blocked in goes on, as with close(2).
  ///
  /// EBADF where the application has closed it before.
  public func close() throws(SystemError) {
    let number = held.exchange(-1, ordering: .acquiringAndReleasing)
    guard isOurs(number) else { throw SystemError(errno: EBADF, operation: "close") }
    // The number is free whatever close(2) returns.
    _ = Glibc.close(number)
  }

  /// Closes the number in this process and leaves the value as it is: for a child that shares our memory (vfork(2)).
  public func closeNumber() {
    let number = number
    if isOurs(number) { _ = Glibc.close(number) }
  }

  /// O_NONBLOCK is set (fcntl(2)). It belongs to the open file description, which a forked child shares.
  public var isNonblocking: Bool {
    let flags = clinux_status_flags(number)
    return flags >= 0 && flags & O_NONBLOCK != 0
  }

  /// It was opened for reading only.
  public var isReadOnly: Bool {
    let flags = clinux_status_flags(number)
    return flags >= 0 && flags & O_ACCMODE == O_RDONLY
  }

  /// pread(2), or read(2) where bytes have no positions, into `destination` from `start`.
  ///
  /// - Parameters:
  ///   - count: at most so many bytes, and no more than there is room for.
  /// - Returns: 0 at the end.
  public func read(
    into destination: inout MutableSpan<UInt8>, from start: Int, count: Int, at offset: UInt64
  ) throws(SystemError) -> Int {
    let number = try current("read")
    let isSeekable = isSeekable
    return try unsafe destination.withUnsafeMutableBufferPointer { (buffer) throws(SystemError) -> Int in
      let part = unsafe UnsafeMutableBufferPointer(rebasing: buffer[start..<min(start + count, buffer.count)])
      return try retrying("read") {
        // SAFETY: the part lies in the buffer, which is valid during the call.
        isSeekable
          ? unsafe pread(number, part.baseAddress, part.count, off_t(clamping: offset))
          : unsafe Glibc.read(number, part.baseAddress, part.count)
      }
    }
  }

  /// pwrite(2), or write(2) where bytes have no positions.
  ///
  /// - Returns: how many bytes were written.
  public func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(SystemError) -> Int {
    let number = try current("write")
    let isSeekable = isSeekable
    return try unsafe bytes.withUnsafeBufferPointer { (buffer) throws(SystemError) -> Int in
      try retrying("write") {
        // SAFETY: the buffer is valid during the call.
        isSeekable
          ? unsafe pwrite(number, buffer.baseAddress, buffer.count, off_t(clamping: offset))
          : unsafe Glibc.write(number, buffer.baseAddress, buffer.count)
      }
    }
  }

  /// fsync(2)
  public func synchronize() throws(SystemError) {
    let number = try current("fsync")
    _ = try retrying("fsync") { Int(fsync(number)) }
  }

  /// poll(2) for input; -1: for ever.
  ///
  /// - Returns: whether a read would find something, be it an end or an error.
  public func waitReadable(milliseconds: Int32) throws(SystemError) -> Bool {
    try isReadable(current("poll"), timeoutMilliseconds: milliseconds)
  }
}

import CLinux
import Glibc

/// The three descriptors that every program is started with (stdin(3)); they belong to whoever started it.
public enum StandardStream: Int32, Sendable, Hashable {
  case input = 0
  case output = 1
  case error = 2

  /// isatty(3)
  public var isTerminal: Bool { isatty(rawValue) == 1 }

  /// Writes every byte, in as many calls as it takes. On an error some of them may have been written.
  public func write(_ bytes: [UInt8]) throws(SystemError) {
    let fd = rawValue
    var written = 0
    while written < bytes.count {
      let start = written
      do {
        written += try retrying("write") {
          unsafe bytes.withUnsafeBytes { source in
            // SAFETY: the part that is given lies inside the array's storage.
            unsafe Glibc.write(fd, source.baseAddress.map { unsafe $0 + start }, source.count - start)
          }
        }
      } catch {
        // The one who started us may have left the descriptor nonblocking.
        guard error.errno == EAGAIN else { throw error }
        try wait(Int16(POLLOUT))
      }
    }
  }

  /// Appends at most `limit` bytes to `bytes` and says how many; 0: the end.
  public func read(into bytes: inout [UInt8], limit: Int) throws(SystemError) -> Int {
    while true {
      do {
        let chunk = try readOnce(limit)
        bytes += chunk
        return chunk.count
      } catch {
        // See `write`.
        guard error.errno == EAGAIN else { throw error }
        try wait(Int16(POLLIN))
      }
    }
  }

  private func readOnce(_ limit: Int) throws(SystemError) -> [UInt8] {
    let fd = rawValue
    var failure: SystemError?
    let chunk = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      do throws(SystemError) {
        // SAFETY: the buffer has room for `limit` bytes, and as many count as were written.
        count = try retrying("read") { unsafe Glibc.read(fd, buffer.baseAddress, limit) }
      } catch {
        count = 0
        failure = error
      }
    }
    if let failure { throw failure }
    return chunk
  }

  /// Bytes from here to the end where the stream is a regular file, else nil.
  public var remainingFileSize: UInt64? {
    var status = stat()
    // SAFETY: the structure is written by the call.
    guard unsafe fstat(rawValue, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    let position = lseek(rawValue, 0, SEEK_CUR)
    guard position >= 0, status.st_size >= 0 else { return nil }
    return UInt64(max(0, Int64(status.st_size) - Int64(position)))
  }

  private func wait(_ events: Int16) throws(SystemError) {
    var entry = pollfd(fd: rawValue, events: events, revents: 0)
    // SAFETY: one entry is passed and counted.
    _ = try retrying("poll") { unsafe Int(poll(&entry, 1, -1)) }
  }
}

/// Switches of the process we are.
public enum OwnProcess {
  /// exit(3)
  public static func exit(_ status: Int32) -> Never { Glibc.exit(status) }
}

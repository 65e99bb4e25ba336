import Glibc

/// A unix datagram socket that is connected to the one of a log daemon; it does not block.
public struct DatagramSender: ~Copyable, Sendable {
  private let descriptor: Descriptor
  private let path: String

  /// Throws ENOENT or ECONNREFUSED where nobody listens at `path`.
  public init(to path: String) throws(SystemError) {
    let number = try retrying("socket") {
      Int(socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0))
    }
    let connecting = Descriptor(adopting: Int32(number))
    try connecting.connect(toPath: path)
    descriptor = connecting
    self.path = path
  }

  /// Sends one message. EAGAIN: the daemon is behind; EMSGSIZE: it is too long; ECONNREFUSED: the daemon is gone.
  public borrowing func send(_ bytes: [UInt8]) throws(SystemError) {
    let number = descriptor.rawValue
    _ = try retrying("send", path) {
      // SAFETY: the array's bytes live for the call.
      unsafe bytes.withUnsafeBytes { unsafe Glibc.send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }
  }
}

/// A file that lines are appended to.
public struct AppendFile: ~Copyable, Sendable {
  private let descriptor: Descriptor
  private let path: String

  /// Opens or makes the file with mode 0600; a link in its last component is not followed, and nothing but a regular file
  /// is opened (EINVAL).
  public init(_ path: String) throws(SystemError) {
    let number = try retrying("open", path) {
      // SAFETY: the string lives for the call.
      unsafe Int(open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0o600))
    }
    let opened = Descriptor(adopting: Int32(number))
    guard try opened.status().kind == .regular else {
      throw SystemError(errno: EINVAL, operation: "open", path: path)
    }
    descriptor = opened
    self.path = path
  }

  /// Appends all of it.
  public borrowing func append(_ bytes: [UInt8]) throws(SystemError) {
    let number = descriptor.rawValue
    var done = 0
    while done < bytes.count {
      done += try retrying("write", path) {
        // SAFETY: the pointer stays within the array, whose bytes live for the call.
        unsafe bytes.withUnsafeBytes { buffer in
          unsafe write(number, buffer.baseAddress?.advanced(by: done), buffer.count - done)
        }
      }
    }
  }
}

extension Clock {
  /// A wall time as syslog(3) writes it, in the machine's own zone: `Nov  7 06:05:04`. nil: it cannot be converted.
  public static func syslogText(wall: UInt64) -> String? {
    var seconds = time_t(clamping: wall / 1_000_000_000)
    var parts = unsafe tm()
    // SAFETY: both are ours and live for the call; of the result only numbers are read.
    guard unsafe localtime_r(&seconds, &parts) != nil else { return nil }
    let (month, day) = unsafe (Int(parts.tm_mon), parts.tm_mday)
    let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard months.indices.contains(month) else { return nil }
    func two(_ value: Int32, _ pad: String) -> String { (value < 10 ? pad : "") + String(value) }
    return "\(months[month]) \(two(day, " ")) \(two(hour, "0")):\(two(minute, "0")):\(two(second, "0"))"
  }
}

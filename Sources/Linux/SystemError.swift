import CLinux
import Glibc

/// A system call that failed: which, on what, and the errno.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  /// errno as the kernel gave it.
  public var errno: Int32
  /// The system call's name, as in its man page.
  public var operation: String
  /// What it was about: a path, an interface, or empty.
  public var path: String

  public init(errno: Int32, operation: String, path: String = "") {
    self.errno = errno
    self.operation = operation
    self.path = path
  }

  public var description: String {
    let subject = path.isEmpty ? "" : " \(path)"
    return "\(operation)\(subject): \(SystemError.message(of: errno))"
  }

  /// strerror(3) of `errno`.
  public static func message(of errno: Int32) -> String {
    // SAFETY: strerrordesc_np(3) returns a static string or null, and is thread-safe.
    guard let text = unsafe clinux_error_description(errno) else { return "errno \(errno)" }
    return unsafe String(cString: text)
  }

  /// The symbol (`EACCES`) of `errno`, or its number where the C library knows none.
  public static func symbol(of errno: Int32) -> String {
    // SAFETY: strerrorname_np(3) returns a static string or null, and is thread-safe.
    guard let text = unsafe clinux_error_name(errno) else { return "\(errno)" }
    return unsafe String(cString: text)
  }
}

/// Calls `body` until it does anything but fail with EINTR; the one place that retries.
///
/// Traps on EFAULT: our own memory is never wrong. EBADF is left to the caller because
/// some calls are made on numbers that others chose.
@inline(__always)
func retrying(_ operation: StaticString, _ path: @autoclosure () -> String = "", _ body: () -> Int) throws(SystemError)
  -> Int
{
  while true {
    let result = body()
    if result >= 0 { return result }
    let code = errno
    if code == EINTR { continue }
    precondition(code != EFAULT, "EFAULT on our own memory")
    throw SystemError(errno: code, operation: "\(operation)", path: path())
  }
}

/// The error numbers that modules without a C library compare with or answer with (errno(3)).
public enum ErrorCode {
  public static let inputOutput: Int32 = EIO
  public static let timedOut: Int32 = ETIMEDOUT
  public static let canceled: Int32 = ECANCELED
  public static let again: Int32 = EAGAIN
  public static let invalid: Int32 = EINVAL
  public static let notPermitted: Int32 = EPERM
  public static let noSuchEntry: Int32 = ENOENT
  public static let accessDenied: Int32 = EACCES
  public static let badDescriptor: Int32 = EBADF
  public static let busy: Int32 = EBUSY
  public static let notSupported: Int32 = EOPNOTSUPP
  public static let noSuchProcess: Int32 = ESRCH
  public static let badMessage: Int32 = EBADMSG
  public static let brokenPipe: Int32 = EPIPE
  public static let noSystemCall: Int32 = ENOSYS
  public static let connectionReset: Int32 = ECONNRESET
  public static let noSpace: Int32 = ENOSPC
  public static let messageTooLong: Int32 = EMSGSIZE
  public static let nameTooLong: Int32 = ENAMETOOLONG
  public static let tooManyFiles: Int32 = EMFILE
  public static let tooManyFilesInSystem: Int32 = ENFILE
}

extension SystemError {
  /// EACCES or EPERM.
  public var isNotPermitted: Bool { errno == EACCES || errno == EPERM }
  public var isAddressInUse: Bool { errno == EADDRINUSE }
}

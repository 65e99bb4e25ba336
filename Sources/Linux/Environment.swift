import CLinux
import Glibc

/// Environment variables, as secure_getenv(3) tells them: none in a set-user-ID program.
public enum Environment {
  public static subscript(name: String) -> String? {
    // SAFETY: the string is copied at once; a program that changes its environment from another thread must not call us meanwhile.
    guard let text = unsafe clinux_environment(name) else { return nil }
    return unsafe String(cString: text)
  }

  /// geteuid(2).
  public static var effectiveUser: UInt32 { geteuid() }
}

extension SystemError {
  /// Numbers that modules without system calls tell their callers (errno(3)).
  public static let notConnected = ENOTCONN
  public static let protocolViolated = EPROTO
  public static let connectionReset = ECONNRESET
  public static let brokenPipe = EPIPE
  public static let badDescriptor = EBADF
  public static let illegalSeek = ESPIPE
  public static let addressRequired = EDESTADDRREQ
  public static let tooManyDescriptors = EMFILE
  public static let messageSize = EMSGSIZE
  public static let notSupported = EOPNOTSUPP
  public static let wouldBlock = EAGAIN
  public static let invalidArgument = EINVAL
  public static let badAddress = EFAULT
  public static let outOfMemory = ENOMEM
}

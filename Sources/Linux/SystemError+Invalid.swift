import Glibc

extension SystemError {
  /// What an instruction that fits no device call fails with, before any call is made.
  public static let invalid = SystemError(errno: EINVAL, operation: "operands")

  /// A device that takes nothing now although it was asked where it may wait.
  public static let again = SystemError(errno: EAGAIN, operation: "write")
}

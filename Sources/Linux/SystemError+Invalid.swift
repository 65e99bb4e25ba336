import Glibc

extension SystemError {
  /// What an instruction that fits no device call fails with, before any call is made.
  public static let invalid = SystemError(errno: EINVAL, operation: "operands")
}

/// The exit codes of `postern`; every other number would be a bug.
enum CommandStatus: Int32, CaseIterable, Sendable {
  case done = 0
  case denied = 1
  case usage = 64
  case badInput = 65
  case unreachable = 69
  case bug = 70
  /// Allowed, but it did not work: EIO, a NAK, ENOSPC.
  case failed = 74
  case notPermitted = 77
}

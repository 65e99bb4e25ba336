/// The exit codes of `postern`; every other number would be a bug, or is that of a program that `run --learn` waited for.
struct CommandStatus: RawRepresentable, Sendable, Hashable {
  var rawValue: Int32

  static let done = CommandStatus(rawValue: 0)
  static let denied = CommandStatus(rawValue: 1)
  static let usage = CommandStatus(rawValue: 64)
  static let badInput = CommandStatus(rawValue: 65)
  static let unreachable = CommandStatus(rawValue: 69)
  static let bug = CommandStatus(rawValue: 70)
  /// Allowed, but it did not work: EIO, a NAK, ENOSPC.
  static let failed = CommandStatus(rawValue: 74)
  static let notPermitted = CommandStatus(rawValue: 77)

  // Of `run` and `open`, which otherwise end as the program does that they became (env(1), timeout(1)).

  /// Postern itself failed: the program was not run.
  static let notStarted = CommandStatus(rawValue: 125)
  static let cannotRun = CommandStatus(rawValue: 126)
  static let notFound = CommandStatus(rawValue: 127)
}

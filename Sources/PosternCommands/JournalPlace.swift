import ArgumentParser
import Audit
import Linux
import Postern
import Wire

/// Where a journal lies, for the commands that read its files themselves.
struct JournalPlace: ParsableArguments {
  @Option(
    name: .customLong("state-dir"),
    help: ArgumentHelp(
      "The journal's directory (default: that of the broker that answers, else the usual place).",
      valueName: "directory"),
    completion: .directory)
  var stateDirectory: String?

  func validate() throws {
    if stateDirectory?.isEmpty == true { throw ValidationError("--state-dir: expected a directory") }
  }

  /// What was named, where the running broker has its own, or the usual place.
  func directory(_ session: Session) -> String {
    if let stateDirectory { return stateDirectory }
    if let broker = try? session.connect(), let rows = try? broker.status(),
      let row = rows.first(where: { $0.key == "state-directory" })
    {
      return row.value
    }
    return StandardPath.state
  }
}

extension CommandFailure {
  /// A journal's files cannot be read.
  init(_ error: JournalError, in directory: String, during action: String) {
    let place = directory.escapedForTerminal
    switch error {
    case .system(let error) where error.isNotPermitted:
      self.init(
        .notPermitted, "\(action): not permitted: \(place) is for root and for the broker's own user",
        errno: error.errno)
    case .system(let error) where error.errno == ErrorCode.noSuchEntry:
      self.init(
        .badInput, "\(action): there is no journal in \(place)", errno: error.errno,
        hint: "--state-dir names its directory, as it was given to posternd.")
    case .system(let error): self.init(.failed, "\(action): \(error)".escapedForTerminal, errno: error.errno)
    case .locked, .writableByOthers: self.init(.failed, "\(action): \(error)".escapedForTerminal)
    }
  }
}

import ArgumentParser

enum Format: String, CaseIterable, ExpressibleByArgument, Sendable {
  case table
  case json
}

/// What every command takes, before or after its name.
struct GlobalOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The broker's socket (default: $POSTERN_SOCKET, else the usual place).", valueName: "path"),
    completion: .file())
  var socket: String?

  @Option(help: "Tables for people, JSON for programs.")
  var format: Format = .table

  func validate() throws {
    if socket?.isEmpty == true { throw ValidationError("--socket: expected a path") }
  }
}

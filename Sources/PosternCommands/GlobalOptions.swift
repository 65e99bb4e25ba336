import ArgumentParser

enum Format: Sendable {
  case table
  case json
}

/// What `--format` may say; only `audit export` knows those behind the first two.
enum FormatWord: String, CaseIterable, ExpressibleByArgument, Sendable {
  case table
  case json
  case jsonl
  case csv
  case cef
  case audit

  /// nil: none of the two that every command knows.
  var format: Format? {
    switch self {
    case .table: .table
    case .json: .json
    case .jsonl, .csv, .cef, .audit: nil
    }
  }
}

/// What every command takes, before or after its name.
struct GlobalOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The broker's socket (default: $POSTERN_SOCKET, else the usual place).", valueName: "path"),
    completion: .file())
  var socket: String?

  @Option(
    name: .customLong("format"),
    help: ArgumentHelp(
      "Tables for people, JSON for programs: table or json (audit export: jsonl, csv, cef or audit).",
      valueName: "format"))
  var word: FormatWord?

  var format: Format { word?.format ?? .table }

  func validate() throws {
    if socket?.isEmpty == true { throw ValidationError("--socket: expected a path") }
  }
}

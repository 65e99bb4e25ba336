import ArgumentParser
import Instructions

/// What narrows a command to some associations or records: everything that is given must match.
struct Selectors: ParsableArguments {
  @Option(help: ArgumentHelp("Only this object.", valueName: "name"), transform: ArgumentReading.name)
  var object: String?

  @Option(help: ArgumentHelp("Only this application.", valueName: "name"), transform: ArgumentReading.name)
  var application: String?

  @Option(help: ArgumentHelp("Only this process.", valueName: "number"), transform: ArgumentReading.pid)
  var pid: UInt32?

  var isEmpty: Bool { object == nil && application == nil && pid == nil }

  /// `--object web --pid 77`, for messages.
  var text: String {
    [object.map { "--object \($0)" }, application.map { "--application \($0)" }, pid.map { "--pid \($0)" }]
      .compactMap { $0 }.joined(separator: " ")
  }
}

import ArgumentParser

struct ObjectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "object", abstract: "Show the privileged objects.",
    subcommands: [ObjectListCommand.self, ObjectShowCommand.self])

  @OptionGroup var global: GlobalOptions

  func run() throws { throw ValidationError("A command is missing: list or show.") }
}

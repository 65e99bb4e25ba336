import ArgumentParser

struct PolicyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "Work on policy files.", subcommands: [PolicyCheckCommand.self])

  @OptionGroup var global: GlobalOptions

  func run() throws { throw ValidationError("A command is missing: check.") }
}

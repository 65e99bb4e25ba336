import ArgumentParser

struct AssociationCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "association", abstract: "Show which process may do what with which object.",
    subcommands: [AssociationListCommand.self])

  @OptionGroup var global: GlobalOptions

  func run() throws { throw ValidationError("A command is missing: list.") }
}

import ArgumentParser

struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Read the audit journal.",
    subcommands: [AuditListCommand.self, AuditFollowCommand.self])

  @OptionGroup var global: GlobalOptions

  func run() throws { throw ValidationError("A command is missing: list or follow.") }
}

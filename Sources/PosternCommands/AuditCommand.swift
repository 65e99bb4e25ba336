import ArgumentParser

struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Read the audit journal.",
    subcommands: [
      AuditListCommand.self, AuditFollowCommand.self, AuditUICommand.self, AuditServeCommand.self,
      AuditStatsCommand.self, AuditWhyCommand.self,
      AuditSuggestCommand.self, AuditReplayCommand.self, AuditExportCommand.self,
      AuditVerifyCommand.self, AuditCheckpointCommand.self, AuditKeyCommand.self,
      AuditSyncCommand.self,
    ])

  @OptionGroup var global: GlobalOptions

  func run() throws {
    throw ValidationError(
      "A command is missing: list, follow, ui, serve, stats, why, suggest, replay, export, verify, checkpoint, key or "
        + "sync.")
  }
}

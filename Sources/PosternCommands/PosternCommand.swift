import ArgumentParser
import Instructions

/// The program itself: only its commands do anything.
struct PosternCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "postern",
    abstract: "Ask the privilege broker, use its objects, and administer it.",
    discussion: """
      Exit codes: 0 done, 1 denied, 64 usage, 65 bad input data, 69 broker not reachable, 70 bug, \
      74 allowed but failed, 77 not permitted; of run and open: the program's own, 125 nothing was run, 126 it cannot be \
      run, 127 not found.
      """,
    version: Version.text,
    subcommands: [
      DoctorCommand.self, StatusCommand.self, ObjectCommand.self, AssociationCommand.self, CanICommand.self,
      RunCommand.self, OpenCommand.self, ReadCommand.self, WriteCommand.self, TransferCommand.self, RevokeCommand.self,
      GrantCommand.self, ReloadCommand.self, PolicyCommand.self, AuditCommand.self, BenchCommand.self, KeepCommand.self,
    ])

  @OptionGroup var global: GlobalOptions

  func run() throws { throw ValidationError("A command is missing.") }

  /// The words that lead from the program to `command`.
  static func words(of command: any ParsableCommand.Type) -> [String] {
    func search(_ group: any ParsableCommand.Type, _ path: [String]) -> [String]? {
      for sub in group.configuration.subcommands {
        let words = path + [sub._commandName]
        if sub == command { return words }
        if let found = search(sub, words) { return found }
      }
      return nil
    }
    return search(PosternCommand.self, []) ?? []
  }
}

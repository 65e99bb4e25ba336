import ArgumentParser
import Audit
import Linux

struct AuditVerifyCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Tell whether the journal is what was written, and whether all of it is there.",
    discussion: """
      Reads the journal's files itself, as root or the broker's own user; a copy on another machine will do. Without the \
      first key it finds accidents only (unkeyed). Exit 0: nothing is wrong or missing; 1: a torn tail was repaired, or a \
      first key was given and does not cover every record (uncovered) or journal.key is not there to show the end; 65: \
      something is changed or missing.
      """)

  @OptionGroup var means: VerificationOptions
  @OptionGroup var place: JournalPlace
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let input = try means.read(session)
    let directory = place.directory(session)
    let result: Verification
    do { result = try Verification(directory: directory, cards: input.cards, checkpoints: input.checkpoints) } catch {
      throw CommandFailure(error, in: directory, during: "audit verify")
    }
    if result.isEmpty {
      throw CommandFailure(
        .badInput, "audit verify: there is no journal in \(directory.escapedForTerminal)",
        hint: "--state-dir names its directory, as it was given to posternd.")
    }
    switch session.format {
    case .json: try session.print(result.json + "\n")
    case .table: try session.print(result.lines.map { $0 + "\n" }.joined())
    }
    if result.isBad { throw .silent(.badInput) }
    if !result.isGood { throw .silent(.denied) }
  }
}

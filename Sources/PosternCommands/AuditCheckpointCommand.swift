import ArgumentParser
import Audit
import Linux

struct AuditCheckpointCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint", abstract: "Print the newest signed checkpoint of the journal, to be kept elsewhere.",
    discussion: """
      One line. With it `audit verify --checkpoint` finds a removed end, and without any key what was changed before it. \
      The policy's audit: checkpoints: copies each one to a directory.
      """)

  @OptionGroup var place: JournalPlace
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let directory = place.directory(session)
    let checkpoint: Checkpoint?
    do { checkpoint = try Checkpoint.newest(directory: directory) } catch {
      throw CommandFailure(error, in: directory, during: "audit checkpoint")
    }
    guard let checkpoint else {
      throw CommandFailure(
        .denied, "audit checkpoint: no checkpoint has been signed yet in \(directory.escapedForTerminal)",
        hint: "One is signed a minute after the first record, when a segment is full, and when the broker stops.")
    }
    switch session.format {
    case .table: try session.print(checkpoint.text + "\n")
    case .json:
      try session.print(
        JSON.object([
          "sequence": .unsigned(checkpoint.position.sequence), "source": .string(checkpoint.position.source.text),
          "checkpoint": .string(checkpoint.text),
        ]))
    }
  }
}

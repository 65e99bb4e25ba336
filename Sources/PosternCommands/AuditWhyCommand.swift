import ArgumentParser
import Audit
import AuditAnalysis

struct AuditWhyCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "why",
    abstract: "Retell a record: who, what, which rule and which of its keys, on which path, and what came before.")

  @Argument(help: ArgumentHelp("The record's sequence number.", valueName: "id"), transform: ArgumentReading.sequence)
  var id: UInt64

  @OptionGroup var source: PolicyOption
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let records = RecordSource(session: session, broker: try session.connect())
    let retelling = try Retelling(id, records, policy: source.policy)
    let explanation = retelling.explanation
    if session.format == .json {
      var writer = JSONWriter()
      explanation.write(to: &writer)
      return try session.print(writer.text + "\n")
    }
    var parts = retelling.parts
    if explanation.record.kind == .refusal {
      parts.append(Explanation.Part(title: "help", lines: ["postern audit suggest \(id)"]))
    }
    try session.print(Self.text(parts))
  }

  /// Titles in a column of their own.
  static func text(_ parts: [Explanation.Part]) -> String {
    let width = (parts.map(\.title.count).max() ?? 0) + 2
    return parts.reduce(into: "") { text, part in
      for (index, line) in part.lines.enumerated() {
        let title = index == 0 ? part.title : ""
        text += title + String(repeating: " ", count: width - title.count) + line + "\n"
      }
    }
  }
}

extension RecordSource {
  /// The record with this number, which has to be there.
  func demand(_ id: UInt64) throws(CommandFailure) -> History {
    if let history = try history(of: id) { return history }
    let whose = readsAll ? "" : " among those of your own uid; those of others are for admins and readers"
    throw CommandFailure(.denied, "\(session.command): there is no record \(id)\(whose)")
  }
}

import ArgumentParser
import Audit
import AuditAnalysis

struct AuditSuggestCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "suggest",
    abstract: "Say what would have allowed exactly this: the policy's change as a diff, or the command to run.",
    discussion: """
      The diff goes to the output, ready for patch(1); everything else stands before it in lines that begin with #. \
      Nothing is changed: apply it, `postern policy check` it, and `postern reload`.
      """)

  @Argument(help: ArgumentHelp("The records' sequence numbers.", valueName: "id"), transform: ArgumentReading.sequence)
  var ids: [UInt64]

  @OptionGroup var source: PolicyOption
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let records = RecordSource(session: session, broker: try session.connect())
    var histories: [History] = []
    for id in ids { histories.append(try records.demand(id)) }
    let policy = try PolicySource(source.policy, session, records.broker)
    var suggester = policy.suggester(try policy.evaluator())
    let suggestions = histories.map { suggester.suggest(for: $0) }
    if session.format == .json {
      var writer = JSONWriter()
      Suggestion.write(suggestions, diff: suggester.diff, to: &writer)
      return try session.print(writer.text + "\n")
    }
    for suggestion in suggestions {
      try session.print(suggestion.lines.map { "# \($0)\n" }.joined())
    }
    try session.print(suggester.diff.shownLines.joined(separator: "\n"))
  }
}

import ArgumentParser
import Audit
import AuditAnalysis
import Instructions

struct AuditReplayCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Say what each record would be under another policy: the same, now allowed, or now refused.",
    discussion: "Shows what would change; --all shows every verdict.")

  @Option(
    help: ArgumentHelp("The policy to judge by.", valueName: "file"), completion: .file(extensions: ["yaml"]))
  var policy: String

  @Flag(help: "Show what stays the same, too.")
  var all = false

  @OptionGroup var filter: AuditFilterOptions
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let source = try filter.source(session)
    var replay = Replay(try PolicySource(policy, session, source.broker).evaluator())
    let names = ["SEQUENCE", "VERDICT", "UNDER \(policy)", "WHO", "WHAT", "WHY"]
    var table = Table(columns: names.map { Table.Column($0.escapedForTerminal, $0 == "SEQUENCE" ? .right : .left) })
    try source.forEach { (record) throws(CommandFailure) in
      guard let replayed = replay.take(record) else { return }
      if replayed == .same, !all { return }
      switch session.format {
      case .json:
        var writer = JSONWriter()
        replayed.write(record, to: &writer)
        try session.print(writer.text + "\n")
      case .table:
        let cells = zip(AuditRecord.tableHead, record.tableRow).filter { $0.0 != "TIME" }.map(\.1)
        table.rows.append(
          [
            Table.Cell(escaped: cells[0]), Table.Cell(escaped: cells[1]),
            Table.Cell(replayed.text, replayed.style),
          ] + cells[2...].map { Table.Cell(escaped: $0) })
      }
    }
    let summary = replay.summary
    switch session.format {
    case .json:
      try session.print(
        JSON.object([
          "summary": .object([
            "same": .unsigned(summary.same), "nowAllowed": .unsigned(summary.nowAllowed),
            "nowRefused": .unsigned(summary.nowRefused), "undecidable": .unsigned(summary.undecidable),
            "notJudged": .unsigned(summary.notJudged),
          ])
        ]))
    case .table:
      if !table.rows.isEmpty { try session.print(table.text(coloured: session.isColoured)) }
      if source.diagnosis.matched == 0 { for line in source.whyEmpty() { session.warn(line) } }
      try session.print(
        "\(summary.same) the same, \(summary.nowAllowed) now allowed, \(summary.nowRefused) now refused, "
          + "\(summary.undecidable) undecidable; \(summary.notJudged) are no verdicts\n")
    }
  }
}

extension Replayed {
  fileprivate var text: String {
    switch self {
    case .same: "the same"
    case .nowAllowed: "now allowed"
    case .nowRefused(let reason, let detail):
      "now refused: \(reason.name)" + (detail == .none ? "" : " (\(detail.name))")
    case .undecidable(let why): "undecidable: \(why)"
    }
  }

  fileprivate var style: Style {
    switch self {
    case .same: .plain
    case .nowAllowed: .good
    case .nowRefused: .bad
    case .undecidable: .doubtful
    }
  }
}

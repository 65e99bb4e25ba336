import ArgumentParser
import Audit
import AuditAnalysis
import Instructions

struct AuditExportCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write records for other programs: JSON lines, CSV, CEF, or the Linux audit daemon's text.",
    discussion: "--format jsonl (the default), csv, cef or audit.")

  @OptionGroup var filter: AuditFilterOptions
  @OptionGroup var global: GlobalOptions

  private var format: ExportFormat {
    switch global.word {
    case .csv: .csv
    case .cef: .cef
    case .audit: .audit
    case .jsonl, .json, .table, nil: .jsonl
    }
  }

  func perform(_ session: Session) throws(CommandFailure) {
    let source = try filter.source(session)
    try session.print(format.head)
    var count = 0
    try source.forEach { (record) throws(CommandFailure) in
      count += 1
      try session.print(format.line(record, version: Version.text))
    }
    if count == 0 { for line in source.whyEmpty() { session.warn(line) } }
  }
}

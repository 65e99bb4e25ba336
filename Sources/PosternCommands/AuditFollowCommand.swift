import ArgumentParser
import Audit

struct AuditFollowCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "follow",
    abstract: "Print records as they are written, until interrupted; --newest N begins with the last N.")

  @OptionGroup var filter: AuditFilterOptions
  @OptionGroup var count: NewestOption
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let source = try filter.source(session)
    var printer = RecordPrinter(session)
    var after: UInt64
    if let newest = count.newest {
      let start = try source.newest(Int(newest))
      try printer.print(start.items)
      after = start.next
    } else {
      after = try source.end()
    }
    try Self.follow(source, after: after, &printer)
  }

  /// Never returns but with a failure: the broker's end, or nobody reading any more.
  static func follow(
    _ source: RecordSource, after start: UInt64, _ printer: inout RecordPrinter
  ) throws(CommandFailure) {
    var after = start
    while true {
      let page = try source.follow(after: after)
      try printer.print(page.items)
      after = max(after, page.next)
    }
  }
}

import ArgumentParser
import Audit

struct AuditFollowCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "follow",
    abstract: "Print records as they are written, until interrupted; --newest N begins with the last N.")

  @OptionGroup var filter: AuditFilterOptions
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    let source = RecordSource(
      session: session, broker: broker, filter: filter.filter(now: session.surroundings.now))
    var printer = RecordPrinter(session)
    var after: UInt64
    if let newest = filter.newest {
      let start = try source.newest(Int(newest))
      try printer.print(start.items)
      after = start.next
    } else {
      after = try source.end()
    }
    while true {
      let page = try source.follow(after: after)
      try printer.print(page.items)
      after = max(after, page.next)
    }
  }
}

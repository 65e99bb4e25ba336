import ArgumentParser
import Audit

struct AuditListCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the journal's records, oldest first: all for admins, else those of your own uid.")

  @OptionGroup var filter: AuditFilterOptions
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    let wanted = filter.filter(now: session.surroundings.now)
    let source = RecordSource(session: session, broker: broker, filter: wanted)
    var items: [RecordItem] = []
    var printer = RecordPrinter(session)
    if let newest = filter.newest {
      items = try source.newest(Int(newest)).items
    } else {
      _ = try source.forEachPage { (page) throws(CommandFailure) in
        switch session.format {
        // Lines can go out at once; a table's columns are as wide as its widest row.
        case .json: try printer.print(page)
        case .table: items += page
        }
      }
    }
    try printer.print(items)
    try printer.finish(
      empty: wanted != AuditFilter()
        ? "no records match" + (session.isAdmin(broker) ? "" : " among those of your own uid")
        : session.isAdmin(broker)
          ? "no records: nothing was refused or changed"
          : "no records of your own uid; those of others are for admins")
  }
}

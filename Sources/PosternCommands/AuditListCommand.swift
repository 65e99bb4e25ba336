import AnalysisDatabase
import ArgumentParser
import Audit

struct AuditListCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the journal's records, oldest first: all for admins and readers, else those of your own uid.")

  @OptionGroup var filter: AuditFilterOptions
  @OptionGroup var count: NewestOption

  @Flag(help: "Go on with what is written, until interrupted.")
  var follow = false

  @Option(
    help: ArgumentHelp(
      "Ask what `audit sync` has brought there, not the broker: a file, or postgresql://….", valueName: "database"),
    completion: .file())
  var database: String?

  @Flag(name: .customLong("count"), help: "With --database: only how many there were.")
  var countsOnly = false

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    if countsOnly, database == nil { throw ValidationError("--count is for --database.") }
    if follow, database != nil { throw ValidationError("--follow asks the broker, not a --database.") }
  }

  func perform(_ session: Session) throws(CommandFailure) {
    if let database { return try list(DatabasePlace(database), session) }
    let source = try filter.source(session)
    var printer = RecordPrinter(session)
    let end: UInt64
    if let newest = count.newest {
      let page = try source.newest(Int(newest))
      try printer.print(page.items)
      end = page.next
    } else {
      end = try source.forEachPage { (page) throws(CommandFailure) in try printer.print(page) }
    }
    if follow { try AuditFollowCommand.follow(source, after: end, &printer) }
    try printer.finish(empty: source.whyEmpty())
  }

  /// Who may read the database is for its file's mode, or for its server, to say.
  private func list(_ place: DatabasePlace, _ session: Session) throws(CommandFailure) {
    let wanted = try filter.filter(now: session.surroundings.now)
    let most = count.newest.map { Int($0) } ?? AuditListCommand.mostOfDatabase
    var number: Int64?
    var records: [AuditRecord] = []
    do throws(AnalysisError) {
      let database = try AnalysisDatabase(reading: place)
      if countsOnly {
        number = try database.count(matching: wanted)
      } else {
        records = try database.newest(most, matching: wanted)
      }
    } catch { throw CommandFailure(error, during: "audit list") }
    if let number { return try session.print("\(number)\n") }
    var printer = RecordPrinter(session)
    try printer.print(records.map { .record($0) })
    try printer.finish(
      empty: [wanted != AuditFilter() ? "no records match" : "no records: nothing was brought there yet"])
    if count.newest == nil, records.count == most {
      session.warn("these are the newest \(most); --newest gives more")
    }
  }

  private static let mostOfDatabase = 1000
}

import ArgumentParser
import Wire

struct StatusCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the running broker: version, uptime, counts, limits, dropped records.")

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    guard case .status(let page) = try broker.ask(.status, for: "status") else { throw .unexpectedReply("status") }
    if session.format == .json {
      return try session.print(JSON.object(page.rows.map { JSON.Member(key: $0.key, value: $0.json) }))
    }
    var table = Table(.init("KEY"), .init("VALUE"))
    table.rows = page.rows.map { [.init($0.key), .init($0.value)] }
    try session.print(table, json: [], empty: "the broker tells nothing about itself")
  }
}

extension StatusRow {
  /// Whole numbers are numbers; a version never is one, whatever it looks like.
  var json: JSON {
    if key != "version", let number = UInt64(value), String(number) == value { return .unsigned(number) }
    return .string(value)
  }
}

import ArgumentParser
import Postern
import Wire

struct StatusCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the running broker: version, uptime, counts, limits, dropped records.")

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    let rows = try session.asking("status") { () throws(PosternError) in try broker.status() }
    if session.format == .json {
      return try session.print(JSON.object(rows.map { JSON.Member(key: $0.key, value: $0.json) }))
    }
    var table = Table(.init("KEY"), .init("VALUE"))
    table.rows = rows.map { [.init($0.key), .init($0.value)] }
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

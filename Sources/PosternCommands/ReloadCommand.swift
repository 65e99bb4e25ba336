import ArgumentParser
import Postern
import Wire

struct ReloadCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload", abstract: "Have the broker read its policy again; a wrong one changes nothing.")

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    let rows = try session.asking("reload") { () throws(PosternError) in try broker.reload() }
    let mistakes = Mistakes(rows: rows)
    session.complain(mistakes.lines)
    if session.format == .json {
      try session.print(
        JSON.object(["reloaded": .bool(!mistakes.hasErrors), "mistakes": .array(rows.map(\.json))]))
    }
    if mistakes.hasErrors {
      session.warn("reload: the policy has mistakes; the old one stays in force")
      throw .silent(.badInput)
    }
    if session.format == .table { try session.print("reloaded\n") }
  }
}

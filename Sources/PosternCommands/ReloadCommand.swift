import ArgumentParser
import Wire

struct ReloadCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload", abstract: "Have the broker read its policy again; a wrong one changes nothing.")

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    var rows: [MistakeRow] = []
    var reply = try broker.ask(.reload, for: "reload")
    while case .mistakes(let page) = reply {
      rows += page.rows
      if page.next == 0 { break }
      reply = try broker.next(for: "reload")
    }
    switch reply {
    case .done, .mistakes: break
    default: throw .unexpectedReply("reload")
    }
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

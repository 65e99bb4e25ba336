import ArgumentParser
import Wire

struct DoctorCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Show which paths and kernel features work here, found out by trying them.")

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    guard case .doctor(let page) = try broker.ask(.doctor, for: "doctor") else { throw .unexpectedReply("doctor") }
    var table = Table(.init("SUBJECT"), .init("STATE"), .init("WHY"))
    table.rows = page.rows.map { [.init($0.subject), .init($0.state.name, $0.state.style), .init($0.why)] }
    try session.print(table, json: page.rows.map(\.json), empty: "the broker has tried nothing")
  }
}

extension DoctorRow {
  var json: JSON { .object(["subject": .string(subject), "state": .string(state.name), "why": .string(why)]) }
}

extension DoctorRow.State {
  var name: String {
    switch self {
    case .works: "works"
    case .refused: "refused"
    case .absent: "absent"
    }
  }

  fileprivate var style: Style {
    switch self {
    case .works: .good
    case .refused: .bad
    case .absent: .doubtful
    }
  }
}

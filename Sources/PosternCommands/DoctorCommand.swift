import ArgumentParser
import Postern
import Wire

struct DoctorCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Show which paths and kernel features work here, found out by trying them.")

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    let rows = try session.asking("doctor") { () throws(PosternError) in try broker.doctor() }
    var table = Table(.init("SUBJECT"), .init("STATE"), .init("WHY"))
    table.rows = rows.map { [.init($0.subject), .init($0.state.name, $0.state.style), .init($0.why)] }
    try session.print(table, json: rows.map(\.json), empty: "the broker has tried nothing")
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

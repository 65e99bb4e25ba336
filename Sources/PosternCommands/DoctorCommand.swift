import ArgumentParser
import Linux
import Postern
import Wire

struct DoctorCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Show which paths and kernel features work here, found out by trying them.",
    discussion: """
      With --unload, as root and while no broker runs: removes the kernel programs of the path direct that an earlier broker \
      has left pinned. What processes hold on that path is checked by nobody from then on.
      """)

  @Flag(help: "Remove the kernel programs that an earlier broker has left.") var unload = false

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    if unload { return try DoctorCommand.unload(session) }
    let broker = try session.connect()
    let rows = try session.asking("doctor") { () throws(PosternError) in try broker.doctor() }
    var table = Table(.init("SUBJECT"), .init("STATE"), .init("WHY"))
    table.rows = rows.map { [.init($0.subject), .init($0.state.name, $0.state.style), .init($0.why)] }
    try session.print(table, json: rows.map(\.json), empty: "the broker has tried nothing")
  }
}

extension DoctorCommand {
  private static func unload(_ session: Session) throws(CommandFailure) {
    let pins = StandardPath.pins
    let failure: SystemError?
    do {
      try DirectKernel.unload(pins: pins)
      failure = nil
    } catch { failure = error }
    switch failure?.errno {
    case nil: session.warn("the kernel programs that were pinned in \(pins) are gone")
    case ErrorCode.noSuchEntry: session.warn("nothing is pinned in \(pins)")
    case ErrorCode.busy:
      throw CommandFailure(
        .denied, "doctor: a broker runs, and the kernel programs are its own", hint: "Stop it first.")
    case ErrorCode.notPermitted, ErrorCode.accessDenied:
      throw CommandFailure(
        .notPermitted, "doctor: the kernel programs can be removed by root only",
        hint: "Root of the machine, not of a container: it takes CAP_SYS_ADMIN.")
    default: throw CommandFailure(.failed, "doctor: \(failure.map { "\($0)" } ?? "")")
    }
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

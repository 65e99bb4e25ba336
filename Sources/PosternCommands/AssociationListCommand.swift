import ArgumentParser
import Instructions
import Postern
import Wire

struct AssociationListCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the associations: all of them for admins, else those of your own processes.")

  @OptionGroup var selectors: Selectors
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    let query = AssociationQuery(
      object: selectors.object ?? "", application: selectors.application ?? "", pid: selectors.pid ?? 0)
    let rows = try session.asking("association list") { () throws(PosternError) in try broker.associations(query) }
    var table = Table(
      .init("ID", .right), .init("OBJECT"), .init("APPLICATION"), .init("PID", .right), .init("PATH"),
      .init("OPERATIONS"), .init("SINCE"), .init("STATE"))
    table.rows = rows.map { row in
      [
        .init(row.association.rawValue), .init(row.object), .init(row.application), .init(row.process.tgid),
        .init(row.path.name), .init(row.operations.names.joined(separator: ",")), .init(Timestamp.short(row.since)),
        .init(row.state.name, row.state == .live ? .good : .doubtful),
      ]
    }
    try session.print(table, json: rows.map(\.json), empty: emptiness(isAdmin: session.isAdmin(broker)))
    try sayWhatCannotBe(session, broker)
  }

  /// Grants that demand a ring and can have none are not in the list, since what asks by them is refused: that is said apart.
  private func sayWhatCannotBe(_ session: Session, _ broker: PosternConnection) throws(CommandFailure) {
    guard case .table = session.format, selectors.pid == nil else { return }
    let subject = "path ring, \(selectors.application ?? "")"
    for row in try session.asking("doctor", { () throws(PosternError) in try broker.doctor() })
    where row.state != .works && row.subject.hasPrefix(subject)
      && row.subject.hasSuffix(selectors.object.map { " on \($0)" } ?? "")
    {
      session.warn("\(row.subject): \(row.why)".escapedForTerminal)
    }
  }

  private func emptiness(isAdmin: Bool) -> String {
    if !selectors.isEmpty {
      return "no associations match \(selectors.text.escapedForTerminal)"
        + (isAdmin ? "" : " among your own processes'")
    }
    return isAdmin
      ? "no associations: no process has an object open"
      : "no associations of your own processes; those of other users are for admins"
  }
}

extension AssociationRow {
  var json: JSON {
    .object([
      "id": .unsigned(association.rawValue),
      "object": .string(object),
      "application": .string(application),
      "pid": .unsigned(UInt64(process.tgid)),
      "start": .unsigned(process.start),
      "path": .string(path.name),
      "operations": .strings(operations.names),
      "since": .string(Timestamp.exact(since)),
      "expires": expiry == 0 ? .null : .string(Timestamp.exact(expiry)),
      "generation": .unsigned(UInt64(generation)),
      "state": .string(state.name),
    ])
  }
}

extension AssociationRow.State {
  var name: String {
    switch self {
    case .live: "live"
    case .revoked: "revoked"
    case .expired: "expired"
    case .stale: "stale"
    case .dropped: "dropped"
    case .departed: "departed"
    }
  }
}

import ArgumentParser
import Instructions
import Postern
import Wire

struct RevokeCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke", abstract: "Take objects back from processes, at once.",
    discussion: """
      Every selector that is given must match; without any, nothing is done. What is named stays refused until \
      `postern grant` or `postern reload`. Exit 0 if all are recalled or nothing matched, else 1.
      """)

  @OptionGroup var selectors: Selectors

  @Option(
    help: ArgumentHelp("Only this association.", valueName: "id"), transform: ArgumentReading.association)
  var association: AssociationID?

  @Flag(help: "Every association there is.")
  var all = false

  @Option(
    help: ArgumentHelp(
      "How long to wait for operations that have started (default: 1).", valueName: "seconds"),
    transform: ArgumentReading.timeout)
  var timeout: UInt32?

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    let isSelected = !selectors.isEmpty || association != nil
    guard isSelected || all else {
      throw ValidationError("Say what to revoke: --object, --application, --pid, --association or --all.")
    }
    guard !(isSelected && all) else { throw ValidationError("--all excludes the other selectors.") }
  }

  func perform(_ session: Session) throws(CommandFailure) {
    let order = Revoke(
      object: selectors.object ?? "", application: selectors.application ?? "", pid: selectors.pid ?? 0,
      association: association, all: all, timeout: timeout ?? 1000)
    let broker = try session.connect()
    let rows = try session.asking("revoke") { () throws(PosternError) in try broker.revoke(order) }
    var table = Table(
      .init("ID", .right), .init("OBJECT"), .init("APPLICATION"), .init("PID", .right), .init("PATH"),
      .init("VERDICT"))
    table.rows = rows.map { row in
      [
        .init(row.association.rawValue), .init(row.object), .init(row.application), .init(row.pid),
        .init(row.path.name), .init(row.outcome.text, row.outcome == .recalled ? .good : .bad),
      ]
    }
    try session.print(
      table, json: rows.map(\.json), empty: "nothing to recall: no live association matches; new opens are refused")
    if rows.contains(where: { $0.outcome != .recalled }) { throw .silent(.denied) }
  }
}

extension RevocationRow {
  var json: JSON {
    .object([
      "id": .unsigned(association.rawValue),
      "object": .string(object),
      "application": .string(application),
      "pid": .unsigned(UInt64(pid)),
      "path": .string(path.name),
      "recalled": .bool(outcome.isRecalled),
      "running": .unsigned(outcome.running),
      "verdict": .string(outcome.text),
    ])
  }
}

extension RevocationRow.Outcome {
  /// The words of the contract.
  var text: String {
    switch self {
    case .recalled: "recalled"
    case .running(let count): "recalled, \(count) operations still running"
    case .cannotRecall(let why): "cannot recall: \(why)"
    }
  }

  fileprivate var isRecalled: Bool {
    if case .cannotRecall = self { return false }
    return true
  }

  fileprivate var running: UInt64 {
    if case .running(let count) = self { return UInt64(count) }
    return 0
  }
}

import Instructions
import Linux
import Postern
import Wire

/// What `run` would get, as the broker told before anything was run.
struct Plan {
  let rows: [PlanRow]
  /// The objects were named on the command line: each of them is needed.
  private let isNamed: Bool

  init(_ session: Session, objects: [String]) throws(CommandFailure) {
    let broker = try session.connect()
    var rows: [PlanRow] = []
    for name in objects.isEmpty ? [""] : objects where name.isEmpty || !rows.contains(where: { $0.object == name }) {
      rows += try session.asking(name.isEmpty ? "run" : "run --object \(name)") { () throws(PosternError) in
        try broker.plan(object: name)
      }
    }
    self.rows = rows
    isNamed = !objects.isEmpty
  }

  private var refused: [PlanRow] { rows.filter { $0.refusal != nil } }

  /// Everything that was asked for: the named objects, or all that the user has a grant of.
  var isGranted: Bool { !rows.isEmpty && refused.isEmpty }

  /// What has to be notified for the granted objects.
  func callsToNotify() throws(CommandFailure) -> NotifiedCalls {
    let granted = rows.filter { $0.refusal == nil }
    if let first = refused.first, isNamed || granted.isEmpty {
      let others = refused.dropFirst().map(\.object.escapedForTerminal)
      throw Plan.failure(first, others: others)
    }
    let calls = granted.reduce(NotifiedCalls()) { $0.union($1.calls) }
    guard !calls.isEmpty else {
      throw CommandFailure(
        .notStarted, "run: the policy grants this user no object that an unmodified program could use",
        hint: "`postern object list` shows what there is; grants for `run` need `handover: true`.")
    }
    return calls
  }

  private static func failure(_ row: PlanRow, others: [String]) -> CommandFailure {
    let refusal = Refusal(row.refusal ?? .refused)
    var failure = CommandFailure.refused("run: \(row.object)", refusal)
    if !row.why.isEmpty {
      failure.text =
        "run: \(row.object.escapedForTerminal): refused: \(refusal.reason.name) "
        + "(\(SystemError.symbol(of: refusal.reason.errno))): \(row.why.escapedForTerminal)"
    }
    if !others.isEmpty { failure.text += "; refused too: \(others.joined(separator: ", "))" }
    failure.hint += (failure.hint.isEmpty ? "" : " ") + "`postern run --dry-run` shows them all."
    failure.status = .notStarted
    return failure
  }

  var table: Table {
    var table = Table(
      .init("OBJECT"), .init("OPERATIONS"), .init("PATH"), .init("APPLICATION"), .init("WHAT HAPPENS"), .init("WHY"))
    table.rows = rows.map { row in
      [
        .init(row.object), .init(row.operations.names.joined(separator: ",")),
        .init(row.refusal == nil ? row.path.name : ""), .init(row.application),
        .init(row.effect, row.refusal == nil ? .good : .bad), .init(row.reason),
      ]
    }
    return table
  }
}

extension PlanRow {
  /// What comes of it, in a few words.
  fileprivate var effect: String {
    if let refusal { return "refused: \(refusal.name)" }
    if calls.contains(.socket) { return "the broker makes the socket" }
    if calls.contains(.bind) { return "the broker binds the program's socket" }
    if calls.contains(.open) { return "the broker opens it" }
    return "nothing: no call leads to it"
  }

  fileprivate var reason: String {
    guard refusal == nil, !executable.isEmpty else { return why }
    return "only when \(executable) asks" + (why.isEmpty ? "" : "; \(why)")
  }

  var json: JSON {
    .object([
      "object": .string(object),
      "kind": .string(kind.name),
      "specification": .string(specification),
      "application": .text(application),
      "operations": .strings(operations.names),
      "path": refusal == nil ? .string(path.name) : .null,
      "calls": .strings(calls.names),
      "executable": .text(executable),
      "granted": .bool(refusal == nil),
      "reason": refusal.map { .string($0.name) } ?? .null,
      "why": .text(why),
    ])
  }
}

import ArgumentParser
import Instructions
import Linux
import Postern
import Wire

struct CanICommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "can-i", abstract: "Ask whether an open would be granted; exit 0 yes, 1 no.",
    discussion: """
      Judges the policy, the runtime grants and the standing revokes for an open by that user and program, without \
      quotas and without looking at who holds the object now. Leaves no audit record.
      """)

  @Argument(
    help: "read, write, accept, send, …", completion: .list(Opcode.allCases.map(\.name)),
    transform: ArgumentReading.operation)
  var operation: Opcode

  @Argument(help: "The object's name.", transform: ArgumentReading.name)
  var object: String

  @Option(help: ArgumentHelp("As this user, by name or number (another than your own: admins).", valueName: "user"))
  var user: String?

  @Option(
    help: ArgumentHelp("As this program (default: the one that asks).", valueName: "path"), completion: .file(),
    transform: ArgumentReading.path)
  var executable: String?

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let action = "can-i \(operation.name) \(object)"
    let uid = try user.map { (name) throws(CommandFailure) in try CanICommand.userID(name) }
    let question = CanI(operations: OperationSet(operation), object: object, uid: uid, executable: executable ?? "")
    let broker = try session.connect()
    let verdict = try session.asking(action) { () throws(PosternError) in try broker.canI(question) }
    if session.format == .json {
      try session.print(json(verdict))
      if !verdict.allowed { throw .silent(.denied) }
      return
    }
    if let reason = verdict.reason {
      throw .refused(action, Refusal(reason, detail: verdict.detail, message: verdict.message), errno: verdict.errno)
    }
    let path = verdict.path.map { " on the \($0.name) path" } ?? ""
    let application = verdict.application.isEmpty ? "" : " as application \(verdict.application.escapedForTerminal)"
    try session.print("yes: \(operation.name) \(object.escapedForTerminal)\(application)\(path)\n")
  }

  /// A number, or a name in the user database.
  static func userID(_ text: String) throws(CommandFailure) -> UInt32 {
    if let number = UInt32(text), number != .max { return number }
    do {
      if let user = try Accounts().user(named: text) { return user.uid }
    } catch { throw CommandFailure(.failed, "the user database: \(error)".escapedForTerminal, errno: error.errno) }
    throw CommandFailure(.usage, "--user \(text.escapedForTerminal): there is no such user")
  }

  private func json(_ verdict: CanIVerdict) -> JSON {
    .object([
      "allowed": .bool(verdict.allowed),
      "reason": verdict.reason.map { .string($0.name) } ?? .null,
      "errno": verdict.allowed ? .null : .string(SystemError.symbol(of: verdict.errno)),
      "application": .text(verdict.application),
      "object": .string(verdict.object),
      "operation": .string(operation.name),
      "path": verdict.path.map { .string($0.name) } ?? .null,
      "message": .text(verdict.message),
      "detail": verdict.detail == .none ? .null : .string(verdict.detail.name),
      "operations": .strings(verdict.operations.names),
    ])
  }
}

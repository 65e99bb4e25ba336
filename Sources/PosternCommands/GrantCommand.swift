import ArgumentParser
import Instructions
import Postern
import Wire

struct GrantCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "grant", abstract: "Add operations to an application until the next reload.",
    discussion: "Holds for new associations only, and lifts a standing revoke of what it names.")

  @Option(
    help: ArgumentHelp("The application's name in the policy.", valueName: "name"), transform: ArgumentReading.name)
  var application: String

  @Option(help: ArgumentHelp("The object's name in the policy.", valueName: "name"), transform: ArgumentReading.name)
  var object: String

  @Option(
    help: ArgumentHelp("Operations between commas: read,write.", valueName: "list"),
    completion: .list(Opcode.allCases.map(\.name)), transform: ArgumentReading.operations)
  var operations: OperationSet

  @Option(
    help: ArgumentHelp("From now: 30s, 15m, 8h, 90d (default: until the next reload).", valueName: "duration"),
    transform: ArgumentReading.duration)
  var expires: UInt64?

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let action = "grant \(object) to \(application)"
    let order = GrantOrder(application: application, object: object, operations: operations, expires: expires ?? 0)
    let broker = try session.connect()
    try session.asking(action) { () throws(PosternError) in try broker.grant(order) }
    let names = operations.names
    switch session.format {
    case .json:
      try session.print(
        JSON.object([
          "granted": .bool(true), "application": .string(application), "object": .string(object),
          "operations": .strings(names), "expiresAfter": expires.map { .unsigned($0) } ?? .null,
          "until": .string("reload"),
        ]))
    case .table:
      let end = expires.map { "for \($0) s, at most until the next reload" } ?? "until the next reload"
      try session.print(
        "granted: \(application.escapedForTerminal) may \(names.joined(separator: ",")) "
          + "\(object.escapedForTerminal), \(end)\n")
    }
  }
}

import ArgumentParser
import Instructions
import Postern
import Wire

struct ObjectShowCommand: BrokerCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one object.")

  @Argument(help: "The object's name.", transform: ArgumentReading.name)
  var name: String

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let action = "object show \(name)"
    let broker = try session.connect()
    let rows = try session.asking(action) { () throws(PosternError) in try broker.objects(named: name) }
    guard let row = rows.first(where: { $0.name == name }) else { throw .refused(action, Refusal(.noSuchObject)) }
    if session.format == .json { return try session.print(row.json) }
    var table = Table(.init("KEY"), .init("VALUE"))
    table.rows = [
      ["name", .init(row.name)],
      ["kind", .init(row.kind.name)],
      ["specification", .init(row.specification)],
      ["operations", .init(row.operations.names.joined(separator: ","))],
      ["generation", .init(row.generation)],
      ["associations", .init(row.associations)],
      ["state", row.stateCell],
    ]
    try session.print(table, json: [], empty: "")
  }
}

import ArgumentParser
import Instructions
import Postern
import Wire

struct ObjectListCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the objects: all of them for admins, else those you may use.")

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    let rows = try session.asking("object list") { () throws(PosternError) in try broker.objects() }
    var table = Table(
      .init("NAME"), .init("KIND"), .init("OPERATIONS"), .init("ASSOCIATIONS", .right), .init("STATE"),
      .init("SPECIFICATION"))
    table.rows = rows.map { row in
      [
        .init(row.name), .init(row.kind.name), .init(row.operations.names.joined(separator: ",")),
        .init(row.associations), row.stateCell, .init(row.specification),
      ]
    }
    try session.print(
      table, json: rows.map(\.json),
      empty: session.isAdmin(broker)
        ? "no objects: the policy names none" : "no objects: the policy grants none to this user and program")
  }
}

extension ObjectRow {
  var stateCell: Table.Cell { unavailable.isEmpty ? .init("available", .good) : .init(unavailable, .bad) }

  var json: JSON {
    .object([
      "id": .unsigned(UInt64(object.rawValue)),
      "name": .string(name),
      "kind": .string(kind.name),
      "operations": .strings(operations.names),
      "generation": .unsigned(UInt64(generation)),
      "associations": .unsigned(UInt64(associations)),
      "specification": .string(specification),
      "available": .bool(unavailable.isEmpty),
      "unavailable": .text(unavailable),
    ])
  }
}

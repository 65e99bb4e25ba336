import Analysis
import PostgreSQL

/// A database of a PostgreSQL server; connected anew when the connection has gone.
final class PostgreSQLTarget: AnalysisTarget {
  private let address: String
  private var link: Link

  /// - Parameter address: a URI, `postgresql://user@host/database`.
  init(_ address: String) throws(AnalysisError) {
    self.address = address
    link = try Link(address)
  }

  func transaction(_ body: (any AnalysisSession) throws(AnalysisError) -> Void) throws(AnalysisError) {
    if link.isBroken { link = try Link(address) }
    let session = PostgreSQLSession(link: link)
    try link.command("BEGIN")
    do throws(AnalysisError) {
      try body(session)
    } catch {
      try? link.command("ROLLBACK")
      throw error
    }
    try link.command("COMMIT")
  }

  /// The connection in a class, because a session refers to it.
  fileprivate final class Link {
    private var connection: PostgreSQLConnection
    private(set) var isBroken = false
    /// Statements with `$1` for `?`, by the latter.
    private var numbered: [String: String] = [:]

    init(_ address: String) throws(AnalysisError) {
      do {
        connection = try PostgreSQLConnection(address)
        // A commit that was told is on the server's disk; its rows are read by nobody half written.
        try connection.execute("SET client_encoding TO 'UTF8'; SET standard_conforming_strings TO on")
      } catch { throw PostgreSQLTarget.failure(error) }
    }

    func command(_ text: String) throws(AnalysisError) {
      do { try connection.execute(text) } catch { throw note(error) }
    }

    func run(_ statement: String, _ values: [Cell]) throws(AnalysisError) -> (rows: [[Cell]], changed: Int) {
      do {
        let result = try connection.execute(number(statement), values.map { value($0) })
        return (result.rows.map { $0.map { cell($0) } }, result.changed)
      } catch { throw note(error) }
    }

    func copy(_ target: String, _ rows: [[Cell]]) throws(AnalysisError) {
      do { try connection.copy(into: target, rows.map { $0.map { value($0) } }) } catch { throw note(error) }
    }

    private func note(_ error: PostgreSQLError) -> AnalysisError {
      if error.isDisconnected { isBroken = true }
      return PostgreSQLTarget.failure(error)
    }

    private func number(_ statement: String) -> String {
      if let known = numbered[statement] { return known }
      var count = 0
      let text = statement.split(separator: "?", omittingEmptySubsequences: false).reduce(into: "") { text, part in
        if count > 0 { text += "$\(count)" }
        text += part
        count += 1
      }
      numbered[statement] = text
      return text
    }

    private func value(_ cell: Cell) -> PostgreSQLValue {
      switch cell {
      case .null: .null
      case .integer(let number): .integer(number)
      case .text(let text): .text(text)
      }
    }

    private func cell(_ value: PostgreSQLValue) -> Cell {
      switch value {
      case .null: .null
      case .integer(let number): .integer(number)
      case .text(let text): .text(text)
      }
    }
  }

  fileprivate static func failure(_ error: PostgreSQLError) -> AnalysisError {
    if error.isDisconnected { return .unreachable(error.text) }
    // PostgreSQL: Appendix A. Classes 53 insufficient resources, 57 operator intervention, 58 system error.
    switch error.state.prefix(2) {
    case "53", "57", "58": return .unreachable(error.text)
    case "55", "40": return .busy(error.text)
    default: return .refused(error.text)
    }
  }
}

private struct PostgreSQLSession: AnalysisSession {
  let link: PostgreSQLTarget.Link

  func execute(_ statement: String, _ values: [Cell]) throws(AnalysisError) -> Int {
    if values.isEmpty {
      try link.command(statement)
      return 0
    }
    return try link.run(statement, values).changed
  }

  func rows(_ statement: String, _ values: [Cell]) throws(AnalysisError) -> [[Cell]] {
    try link.run(statement, values).rows
  }

  func load(_ table: String, _ columns: [String], _ rows: [[Cell]]) throws(AnalysisError) {
    if rows.isEmpty { return }
    try link.copy("\(table) (\(columns.joined(separator: ", ")))", rows)
  }
}

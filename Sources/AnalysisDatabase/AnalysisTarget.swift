import Analysis

/// Why the analysis database cannot do what it was asked.
public enum AnalysisError: Error, Sendable, Hashable {
  /// Nobody answers there, or the connection has gone; it can be tried again.
  case unreachable(String)
  /// Somebody else has the database for longer than one waits.
  case busy(String)
  /// The database said no.
  case refused(String)
  /// Another one brings the same journal into this database.
  case overtaken
  /// The database was made by another version of Postern, or is none of Postern's.
  case foreign(String)

  /// For people; may hold what the database said, which its caller escapes.
  public var text: String {
    switch self {
    case .unreachable(let text): "the database cannot be reached: \(text)"
    case .busy(let text): "the database is in use: \(text)"
    case .refused(let text): "the database refused: \(text)"
    case .overtaken: "another `postern audit sync` brings this journal into the database"
    case .foreign(let text): text
    }
  }
}

/// A database in a transaction. Values are parameters, never a part of a statement.
protocol AnalysisSession {
  /// Executes one statement with a `?` for each value; returns how many rows it has changed.
  func execute(_ statement: String, _ values: [Cell]) throws(AnalysisError) -> Int

  func rows(_ statement: String, _ values: [Cell]) throws(AnalysisError) -> [[Cell]]

  /// Brings many rows into a table by the quickest way there is.
  func load(_ table: String, _ columns: [String], _ rows: [[Cell]]) throws(AnalysisError)
}

/// A database of one kind; used by one thread.
protocol AnalysisTarget: AnyObject {
  /// What `body` does happens together or not at all.
  func transaction(_ body: (any AnalysisSession) throws(AnalysisError) -> Void) throws(AnalysisError)
}

extension AnalysisSession {
  func execute(_ statement: String) throws(AnalysisError) { _ = try execute(statement, []) }

  /// Undoes what `body` did where it fails.
  func attempt(_ body: () throws(AnalysisError) -> Void) throws(AnalysisError) {
    try execute("SAVEPOINT attempt")
    do throws(AnalysisError) {
      try body()
    } catch {
      if case .refused = error {
        try execute("ROLLBACK TO SAVEPOINT attempt")
        try execute("RELEASE SAVEPOINT attempt")
      }
      throw error
    }
    try execute("RELEASE SAVEPOINT attempt")
  }

  func insert(_ table: String, _ columns: [String], _ row: [Cell]) throws(AnalysisError) {
    _ = try execute(
      "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(marks(row.count)))", row)
  }
}

/// `?, ?, ?`
func marks(_ count: Int) -> String { repeatElement("?", count: count).joined(separator: ", ") }

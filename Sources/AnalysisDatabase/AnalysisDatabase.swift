import Analysis

/// Where an analysis database lies.
public enum DatabasePlace: Sendable, Hashable {
  /// A file of SQLite's.
  case file(String)
  /// A PostgreSQL server, by its URI.
  case server(String)

  public init(_ text: String) {
    self = text.hasPrefix("postgresql://") || text.hasPrefix("postgres://") ? .server(text) : .file(text)
  }
}

/// An open analysis database; used by one thread.
public final class AnalysisDatabase {
  let target: any AnalysisTarget

  /// Opens it, and makes the tables that are not there.
  public init(_ place: DatabasePlace) throws(AnalysisError) {
    let isSQLite: Bool
    switch place {
    case .file(let path):
      target = try SQLiteTarget(path: path)
      isSQLite = true
    case .server(let address):
      target = try PostgreSQLTarget(address)
      isSQLite = false
    }
    try target.transaction { (session) throws(AnalysisError) in try Schema.prepare(session, isSQLite: isSQLite) }
  }

  /// Opens what is there, to ask it.
  public init(reading place: DatabasePlace) throws(AnalysisError) {
    switch place {
    case .file(let path): target = try SQLiteTarget(path: path, isReadOnly: true)
    case .server(let address): target = try PostgreSQLTarget(address)
    }
    try target.transaction { (session) throws(AnalysisError) in try Schema.check(session) }
  }
}

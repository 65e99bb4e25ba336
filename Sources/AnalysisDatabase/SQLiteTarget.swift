import Analysis
import GRDB
import Linux

/// A file of SQLite's.
final class SQLiteTarget: AnalysisTarget {
  private let queue: DatabaseQueue
  private let kind: Database.TransactionKind

  /// - Parameter path: made if it is not there, for its owner alone: it says who asked for what.
  init(path: String, isReadOnly: Bool = false) throws(AnalysisError) {
    if !isReadOnly {
      do throws(SystemError) { _ = try AppendFile(path) } catch { throw .unreachable("\(error)") }
    }
    kind = isReadOnly ? .deferred : .immediate
    var configuration = Configuration()
    configuration.label = "postern-analysis"
    configuration.foreignKeysEnabled = false
    // Readers go on while a transaction is written, and a transaction is whole after kill -9 (sqlite.org/wal.html).
    if !isReadOnly { configuration.journalMode = .wal }
    configuration.readonly = isReadOnly
    configuration.busyMode = .timeout(10)
    configuration.prepareDatabase { database in
      // After a power failure the last transactions may be gone, each as a whole: the journal has them.
      // A checkpoint waits for the disk: one for each 64 MiB of pages, not for each 4.
      try database.execute(
        sql: "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384")
    }
    do { queue = try DatabaseQueue(path: path, configuration: configuration) } catch {
      throw SQLiteTarget.failure(error)
    }
  }

  func transaction(_ body: (any AnalysisSession) throws(AnalysisError) -> Void) throws(AnalysisError) {
    do {
      try queue.writeWithoutTransaction { database in
        try database.inTransaction(kind) {
          try body(SQLiteSession(database: database))
          return .commit
        }
      }
    } catch { throw SQLiteTarget.failure(error) }
  }

  static func failure(_ error: any Error) -> AnalysisError {
    if let error = error as? AnalysisError { return error }
    guard let error = error as? DatabaseError else { return .refused("\(error)") }
    let text = error.message ?? "\(error.resultCode)"
    switch error.resultCode {
    case .SQLITE_BUSY, .SQLITE_LOCKED: return .busy(text)
    case .SQLITE_CANTOPEN, .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
      return .unreachable(text)
    case .SQLITE_NOTADB, .SQLITE_CORRUPT: return .foreign("it is no database: \(text)")
    default: return .refused(text)
    }
  }
}

private struct SQLiteSession: AnalysisSession {
  let database: Database

  func execute(_ statement: String, _ values: [Cell]) throws(AnalysisError) -> Int {
    do {
      try database.cachedStatement(sql: statement).execute(arguments: arguments(values))
      return database.changesCount
    } catch { throw SQLiteTarget.failure(error) }
  }

  func rows(_ statement: String, _ values: [Cell]) throws(AnalysisError) -> [[Cell]] {
    do {
      var found: [[Cell]] = []
      let cursor = try Row.fetchCursor(
        database.cachedStatement(sql: statement), arguments: arguments(values))
      while let row = try cursor.next() {
        found.append(row.databaseValues.map { cell($0) })
      }
      return found
    } catch { throw SQLiteTarget.failure(error) }
  }

  func load(_ table: String, _ columns: [String], _ rows: [[Cell]]) throws(AnalysisError) {
    // Fewer values than SQLite takes in one statement (sqlite.org/limits.html), and few statements to keep parsed.
    let most = 64
    let row = "(\(marks(columns.count)))"
    let head = "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES "
    var start = 0
    while start < rows.count {
      let part = rows.count - start >= most ? most : 1
      let text = head + repeatElement(row, count: part).joined(separator: ", ")
      _ = try execute(text, rows[start..<start + part].flatMap { $0 })
      start += part
    }
  }

  private func arguments(_ values: [Cell]) -> StatementArguments {
    StatementArguments(
      values.map { value -> DatabaseValue in
        switch value {
        case .null: .null
        case .integer(let number): number.databaseValue
        case .text(let text): text.databaseValue
        }
      })
  }

  private func cell(_ value: DatabaseValue) -> Cell {
    switch value.storage {
    case .null, .double, .blob: .null
    case .int64(let number): .integer(number)
    case .string(let text): .text(text)
    }
  }
}

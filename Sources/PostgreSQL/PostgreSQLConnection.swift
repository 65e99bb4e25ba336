import CPostgreSQL

/// Why a statement or a connection failed, in the server's or the library's words.
public struct PostgreSQLError: Error, Sendable, Hashable {
  /// The five characters of SQLSTATE; empty where no server has answered.
  public var state: String
  /// As it came: the caller escapes it before a person sees it.
  public var text: String
  /// Nothing more can be asked on this connection.
  public var isDisconnected: Bool
}

/// A value as it goes to the server and comes back.
public enum PostgreSQLValue: Sendable, Hashable {
  case null
  case integer(Int64)
  case text(String)
}

/// One connection to a PostgreSQL server, used by one thread.
///
/// Values never become a part of a statement's text: they travel as parameters or in a binary COPY.
@safe public struct PostgreSQLConnection: ~Copyable {
  private let calls: postgresql_calls
  /// Ours until `deinit`.
  private let connection: OpaquePointer
  /// Statements that the server has parsed, by their text.
  private var prepared: [String: String] = [:]

  /// - Parameter target: a connection string or URI (libpq, 34.1.1).
  public init(_ target: String) throws(PostgreSQLError) {
    // SAFETY: the table is a constant of the shim for the life of the process; the strings live for the calls; a
    // connection that is given is ours until PQfinish in deinit or below.
    var why: UnsafePointer<CChar>?
    guard let found = unsafe cpostgresql_calls(&why) else {
      let text = unsafe copied(why)
      throw PostgreSQLError(state: "", text: text, isDisconnected: true)
    }
    let table = unsafe found.pointee
    guard let opened = unsafe cpostgresql_connect(found, target) else {
      throw PostgreSQLError(state: "", text: "out of memory", isDisconnected: true)
    }
    guard unsafe table.PQstatus(opened) == CONNECTION_OK else {
      let text = unsafe copied(table.PQerrorMessage(opened))
      unsafe table.PQfinish(opened)
      throw PostgreSQLError(state: "", text: PostgreSQLConnection.oneLine(text), isDisconnected: true)
    }
    calls = table
    unsafe connection = opened
  }

  // SAFETY: the connection is ours and used by nobody after this.
  deinit { unsafe calls.PQfinish(connection) }

  /// Executes one statement that has no parameters, or several.
  public mutating func execute(_ statements: String) throws(PostgreSQLError) {
    // SAFETY: the string lives for the call; the result is ours and cleared by `take`.
    let result = unsafe calls.PQexec(connection, statements)
    _ = try unsafe take(result, expecting: [PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY], rows: false)
  }

  /// Executes a statement with `$1`, `$2`, … as its parameters; returns its rows and how many rows it has changed.
  public mutating func execute(
    _ statement: String, _ values: [PostgreSQLValue]
  ) throws(PostgreSQLError) -> (rows: [[PostgreSQLValue]], changed: Int) {
    let name = try prepare(statement)
    // Every value in one buffer, each text behind its bytes with a NUL: pointers into it live as long as the closure.
    var storage: [CChar] = []
    var places: [Int?] = []
    for value in values {
      switch value {
      case .null: places.append(nil)
      case .integer(let number):
        places.append(storage.count)
        for byte in String(number).utf8 { storage.append(CChar(bitPattern: byte)) }
      case .text(let text):
        places.append(storage.count)
        for byte in text.utf8 { storage.append(CChar(bitPattern: byte)) }
      }
      storage.append(0)
    }
    let (calls, connection) = unsafe (calls, connection)
    // SAFETY: the buffers are not changed while the closure runs, and libpq copies what it sends; a NULL is an SQL null.
    let result = unsafe storage.withUnsafeBufferPointer { buffer in
      let pointers = unsafe places.map { place in unsafe place.flatMap { unsafe buffer.baseAddress?.advanced(by: $0) } }
      return unsafe calls.PQexecPrepared(
        connection, name, Int32(values.count), pointers, nil, nil, 0)
    }
    return try unsafe take(result, expecting: [PGRES_COMMAND_OK, PGRES_TUPLES_OK], rows: true)
  }

  /// Copies rows into a table: `COPY … FROM STDIN (FORMAT binary)`.
  ///
  /// - Parameters:
  ///   - target: the table and its columns, `record (source, sequence)`: our own text, never a value.
  ///   - rows: integers go to bigint columns only.
  public mutating func copy(into target: String, _ rows: [[PostgreSQLValue]]) throws(PostgreSQLError) {
    // SAFETY: the string lives for the call; the result is ours and cleared by `take`.
    let begun = unsafe calls.PQexec(connection, "COPY \(target) FROM STDIN (FORMAT binary)")
    _ = try unsafe take(begun, expecting: [PGRES_COPY_IN], rows: false)
    var data = BinaryCopy()
    var failure: PostgreSQLError?
    for row in rows {
      data.append(row)
      if data.bytes.count >= 1 << 20, failure == nil {
        failure = put(data.bytes)
        data.bytes.removeAll(keepingCapacity: true)
      }
    }
    data.end()
    if failure == nil { failure = put(data.bytes) }
    // SAFETY: NULL says that the data is whole; the connection is ours.
    if unsafe calls.PQputCopyEnd(connection, nil) != 1, failure == nil { failure = error() }
    // SAFETY: each result is ours and cleared by `take`; NULL ends them.
    while let result = unsafe calls.PQgetResult(connection) {
      do throws(PostgreSQLError) {
        _ = try unsafe take(result, expecting: [PGRES_COMMAND_OK], rows: false)
      } catch { if failure == nil { failure = error } }
    }
    if let failure { throw failure }
  }

  private func put(_ bytes: [UInt8]) -> PostgreSQLError? {
    let characters = bytes.map { CChar(bitPattern: $0) }
    // SAFETY: libpq copies the bytes before it returns.
    return unsafe calls.PQputCopyData(connection, characters, Int32(clamping: characters.count)) == 1 ? nil : error()
  }

  private mutating func prepare(_ statement: String) throws(PostgreSQLError) -> String {
    if let name = prepared[statement] { return name }
    let name = "s\(prepared.count)"
    // SAFETY: the strings live for the call; no types are given, so that the server infers them.
    let result = unsafe calls.PQprepare(connection, name, statement, 0, nil)
    _ = try unsafe take(result, expecting: [PGRES_COMMAND_OK], rows: false)
    prepared[statement] = name
    return name
  }

  private func error() -> PostgreSQLError {
    // SAFETY: the text belongs to the connection and is copied before its next use.
    PostgreSQLError(
      state: "", text: PostgreSQLConnection.oneLine(unsafe copied(calls.PQerrorMessage(connection))),
      isDisconnected: unsafe calls.PQstatus(connection) != CONNECTION_OK)
  }

  /// What a result says; the result is cleared.
  private func take(
    _ result: OpaquePointer?, expecting expected: [ExecStatusType], rows: Bool
  ) throws(PostgreSQLError) -> (rows: [[PostgreSQLValue]], changed: Int) {
    guard let result = unsafe result else { throw error() }
    // SAFETY: the result is ours until PQclear; every text in it is copied before; rows and columns are those it has.
    defer { unsafe calls.PQclear(result) }
    let status = unsafe calls.PQresultStatus(result)
    guard expected.contains(status) else {
      var failure = error()
      // PG_DIAG_SQLSTATE is the letter C.
      failure.state = unsafe copied(calls.PQresultErrorField(result, Int32(UInt8(ascii: "C"))))
      throw failure
    }
    let changed = unsafe Int(copied(calls.PQcmdTuples(result))) ?? 0
    guard rows, status == PGRES_TUPLES_OK else { return ([], changed) }
    let columns = unsafe calls.PQnfields(result)
    let count = unsafe calls.PQntuples(result)
    var found: [[PostgreSQLValue]] = []
    for row in 0..<count {
      var values: [PostgreSQLValue] = []
      for column in 0..<columns {
        if unsafe calls.PQgetisnull(result, row, column) == 1 {
          values.append(.null)
          continue
        }
        let text = unsafe copied(calls.PQgetvalue(result, row, column))
        values.append(PostgreSQLConnection.value(text, type: unsafe calls.PQftype(result, column)))
      }
      found.append(values)
    }
    return (found, changed)
  }

  /// - Parameter type: an object identifier of pg_type: int8 20, int2 21, int4 23, numeric 1700 (what sum() of
  ///   int8 gives).
  private static func value(_ text: String, type: Oid) -> PostgreSQLValue {
    switch type {
    case 20, 21, 23, 1700: return Int64(text).map { .integer($0) } ?? .text(text)
    default: return .text(text)
    }
  }

  private static func oneLine(_ text: String) -> String {
    text.split(separator: "\n").map { String($0) }.joined(separator: "; ")
  }
}

/// The C string at `pointer`; empty where there is none.
private func copied(_ pointer: UnsafePointer<CChar>?) -> String {
  // SAFETY: what libpq gives ends with NUL, and its callers hold what it belongs to.
  unsafe pointer.map { unsafe String(cString: $0) } ?? ""
}

private func copied(_ pointer: UnsafeMutablePointer<CChar>?) -> String {
  // SAFETY: as above.
  unsafe copied(UnsafePointer(pointer))
}

/// The data of a binary COPY (PostgreSQL: COPY, Binary Format): every number big-endian, every field with its length.
private struct BinaryCopy {
  var bytes: [UInt8]

  init() {
    bytes = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00]
    append(UInt32(0))
    append(UInt32(0))
  }

  mutating func append(_ row: [PostgreSQLValue]) {
    append(UInt16(clamping: row.count))
    for value in row {
      switch value {
      case .null: append(UInt32.max)
      case .integer(let number):
        append(UInt32(8))
        append(UInt64(bitPattern: number))
      case .text(let text):
        append(UInt32(clamping: text.utf8.count))
        bytes.append(contentsOf: text.utf8)
      }
    }
  }

  mutating func end() { append(UInt16.max) }

  private mutating func append<Number: FixedWidthInteger & UnsignedInteger>(_ number: Number) {
    for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: number >> Number(shift)))
    }
  }
}

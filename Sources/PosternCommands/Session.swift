import Linux
import Postern
import Wire

/// One run of one command: what it was asked, what it prints, and its connection to the broker.
final class Session {
  let surroundings: any Surroundings
  let format: Format
  /// The words of the command, `association list`, for messages.
  let command: String
  private let socket: String?
  private let isSilent: Bool
  /// Where the broker is looked for.
  var socketPath: String { socket ?? StandardPath.socket }

  init(command: String, options: GlobalOptions, surroundings: any Surroundings) {
    self.command = command
    self.surroundings = surroundings
    format = options.format
    socket = options.socket
    isSilent = false
  }

  /// One that says nothing beside its result: for a thread that works for a screen.
  init(silent command: String, socket: String) {
    surroundings = ProcessSurroundings()
    format = .table
    self.command = command
    self.socket = socket
    isSilent = true
  }

  /// A new connection to the broker, and what the broker said about us.
  func connect() throws(CommandFailure) -> PosternConnection {
    do {
      return try asking(command) { () throws(PosternError) in
        try PosternConnection(path: socket, client: "postern")
      }
    } catch {
      var failure = error
      let others = StandardPath.otherSockets.filter { $0 != socket }
      if failure.status == .unreachable, let other = others.first {
        failure.hint = "There is a socket at \(other.escapedForTerminal): --socket names it."
      }
      throw failure
    }
  }

  /// What `body` gives; every no of the broker becomes what the person is told.
  ///
  /// - Parameter action: what was asked for, `read scratch`.
  func asking<Result: ~Copyable>(
    _ action: String, _ body: () throws(PosternError) -> Result
  ) throws(CommandFailure) -> Result {
    do { return try body() } catch { throw CommandFailure(error, during: action) }
  }

  /// Whether the broker counts us among its admins.
  func isAdmin(_ connection: PosternConnection) -> Bool { (try? connection.welcome().admin) ?? false }

  // MARK: Printing

  func print(_ text: String) throws(CommandFailure) { try print(bytes: Array(text.utf8)) }

  func print(bytes: [UInt8]) throws(CommandFailure) {
    do { try surroundings.write(bytes, to: .output) } catch { throw .output(error) }
  }

  func print(_ json: JSON) throws(CommandFailure) { try print(json.line + "\n") }

  /// The rows in the format that was asked for. Where there are none, people are told why on the error stream, so that
  /// what reads the table sees an empty one.
  func print(_ table: Table, json: [JSON], empty: @autoclosure () -> String) throws(CommandFailure) {
    switch format {
    case .json: try print(.array(json))
    case .table:
      if table.rows.isEmpty {
        warn(empty())
      } else {
        try print(table.text(coloured: isColoured))
      }
    }
  }

  /// Says something beside the result; `text` must be escaped. A closed error stream is no reason to fail.
  func warn(_ text: String) { complain("postern: \(text)\n") }

  /// Lines that go to the error stream as they are.
  func complain(_ lines: String) {
    if !isSilent { try? surroundings.write(Array(lines.utf8), to: .error) }
  }

  /// Colours are for terminals, and only where nobody forbids them (no-color.org).
  var isColoured: Bool {
    surroundings.isTerminal(.output) && (surroundings.variable("NO_COLOR") ?? "").isEmpty
      && surroundings.variable("TERM") != "dumb"
  }
}

import Instructions
import Linux
import Wire

/// A control connection to the broker, in a command's terms: every no is a `CommandFailure`.
final class BrokerLink {
  /// What the broker said about itself and about us.
  let welcome: Welcome
  private let socket: Descriptor
  private var buffer: MessageBuffer
  private var lastID: UInt64 = 0

  init(path: String) throws(CommandFailure) {
    do { socket = try MessageSocket.connect(to: path) } catch { throw .unreachable(path, error) }
    buffer = MessageBuffer(capacity: Bounds.controlMessage)
    lastID = 1
    let hello = Request.hello(Hello(client: "postern"))
    guard case .welcome(let welcome) = try BrokerLink.exchange(hello, id: 1, socket.rawValue, &buffer) else {
      throw .unexpectedReply("hello")
    }
    self.welcome = welcome
  }

  /// The answer to `request`; a refusal or a failure is thrown.
  ///
  /// - Parameter action: what the person asked for, `read scratch`.
  func ask(_ request: Request, for action: String) throws(CommandFailure) -> Reply {
    lastID += 1
    let reply = try BrokerLink.exchange(request, id: lastID, socket.rawValue, &buffer)
    return try checked(reply, action)
  }

  /// The next part of an answer that comes in several messages.
  func next(for action: String) throws(CommandFailure) -> Reply {
    try checked(try BrokerLink.receive(lastID, socket.rawValue, &buffer), action)
  }

  private func checked(_ reply: Reply, _ action: String) throws(CommandFailure) -> Reply {
    switch reply {
    case .refused(let refused): throw .refused(action, refused.refusal, errno: refused.errno)
    case .failed(let failure): throw .failed(action, errno: failure.errno, failure.text)
    default: return reply
    }
  }

  private static func exchange(
    _ request: Request, id: UInt64, _ socket: Int32, _ buffer: inout MessageBuffer
  ) throws(CommandFailure) -> Reply {
    do {
      let bytes = try request.encode(id: id)
      do {
        _ = try bytes.withRawSpan { (span) throws(SystemError) in
          try MessageSocket.send(socket, span, blocking: true)
        }
      } catch { throw CommandFailure.disconnected("\(request.kind)") }
    } catch let error as CommandFailure { throw error } catch { throw .protocolViolation("\(error)") }
    return try receive(id, socket, &buffer)
  }

  private static func receive(_ id: UInt64, _ socket: Int32, _ buffer: inout MessageBuffer) throws(CommandFailure) -> Reply {
    do {
      guard case .ready(let message) = try MessageSocket.receive(socket, into: &buffer, blocking: true),
        message.count > 0, !message.truncated
      else { throw CommandFailure.disconnected("postern") }
    } catch let error as CommandFailure { throw error } catch { throw .disconnected("postern") }
    do {
      let (answered, reply) = try buffer.withSpan { (span) throws(WireError) in try Reply.decode(span) }
      guard answered == id else { throw CommandFailure.protocolViolation("an answer to another request") }
      return reply
    } catch let error as CommandFailure { throw error } catch { throw .protocolViolation("\(error)") }
  }

  static func defaultPath(_ surroundings: any Surroundings) -> String {
    if let path = surroundings.variable("POSTERN_SOCKET"), !path.isEmpty { return path }
    if OwnProcess.effectiveUID != 0, let folder = surroundings.variable("XDG_RUNTIME_DIR"), folder.hasPrefix("/") {
      return folder + "/postern/postern.sock"
    }
    return "/run/postern/postern.sock"
  }
}

import Instructions
import Linux
import Synchronization
import Wire

/// The control connection to the broker: opens objects, revalidates, and asks what commands want to know.
///
/// Thread-safe: requests wait for each other. In a forked child, and after the broker was started anew, the next request
/// connects again. Channels outlive `disconnect` and connect again for what they need.
public final class PosternConnection: Sendable {
  public let path: String
  let client: String
  private let line: ForkSafeLock<Line>
  private let automatic = Atomic<Bool>(true)

  private struct Line {
    var generation: UInt64
    /// A thread is using the socket; the lock is not held meanwhile.
    var busy = false
    var socket: ClientDescriptor?
    var welcome: Welcome?
    var requestID: UInt64 = 0

    init() { generation = ForkHandlers.generation }
  }

  /// Connects and greets.
  ///
  /// - Parameters:
  ///   - path: the broker's socket; nil: `StandardPath.socket`.
  ///   - client: what the broker's journal calls this program's library.
  /// - Throws: `unreachable` where nobody listens there.
  public init(path: String? = nil, client: String = "libpostern") throws(PosternError) {
    self.path = path ?? StandardPath.socket
    self.client = client
    do { line = try ForkSafeLock(Line()) } catch { throw .unreachable(error) }
    _ = try withSession { (_: inout Session) throws(PosternError) in }
  }

  /// Whether a channel that is refused with `not-associated` or `expired` revalidates by itself and repeats once; true at first.
  public var revalidatesAutomatically: Bool {
    get { automatic.load(ordering: .relaxed) }
    set { automatic.store(newValue, ordering: .relaxed) }
  }

  /// What the broker said when this connection was made.
  public func welcome() throws(PosternError) -> Welcome {
    try withSession { (session: inout Session) throws(PosternError) in session.welcome }
  }

  /// Closes the connection; the next request makes a new one.
  public func disconnect() {
    let dropped = line.wait { line -> ClientDescriptor?? in
      guard line.generation == ForkHandlers.generation else {
        line = Line()
        return .some(nil)
      }
      guard !line.busy else { return nil }
      let socket = line.socket
      line.socket = nil
      return .some(socket)
    }
    _ = consume dropped
  }

  /// Runs requests with nobody else's between them.
  func withSession<Result: ~Copyable>(
    _ body: (inout Session) throws(PosternError) -> Result
  ) throws(PosternError) -> Result {
    // A child of vfork(2) may share our memory: it talks over a connection of its own and leaves no trace here.
    guard !ForkHandlers.missedFork else {
      var session = try Session(path: path, client: client, requestID: 0)
      return try body(&session)
    }
    var (socket, welcome, requestID) = line.wait { line -> (ClientDescriptor?, Welcome?, UInt64)? in
      // In a child the socket was closed by the fork handler, and whoever was busy does not exist.
      if line.generation != ForkHandlers.generation { line = Line() }
      guard !line.busy else { return nil }
      line.busy = true
      let socket = line.socket
      line.socket = nil
      return (socket, line.welcome, line.requestID)
    }
    var kept: ClientDescriptor?
    defer {
      line.withLock { line in
        line.busy = false
        line.socket = kept
        line.welcome = welcome
        line.requestID = requestID
      }
      line.wake()
    }
    // Nothing is under way, so whatever can be received now is the end of the connection, or nonsense. And a program
    // that closes every descriptor it does not know has closed this one.
    if let old = socket, !old.isOpen || old.hasInput { socket = nil }
    var session: Session
    if let socket, let welcome {
      session = Session(socket: socket, welcome: welcome, requestID: requestID)
    } else {
      session = try Session(path: path, client: client, requestID: requestID)
      welcome = session.welcome
    }
    defer { requestID = session.requestID }
    do {
      let result = try body(&session)
      kept = session.socket
      return result
    } catch {
      if !error.isFinal { kept = session.socket }
      throw error
    }
  }
}

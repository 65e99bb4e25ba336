import Instructions
import Linux
import Wire

/// Keeps programs working whose system calls are notified, whatever becomes of the broker.
///
/// It holds their seccomp listeners (seccomp_unotify(2)) and gives the broker a copy. While no broker has a listener, each
/// call is let through: the kernel makes it with its own checks, as without Postern. Were nobody left to hold the listener,
/// the calls would fail with ENOSYS.
///
/// Letting through grants nothing: it decides on nothing that the program can change, and the broker has granted nothing
/// to a call that it has not answered.
public struct ListenerKeeper: ~Copyable {
  /// What `submit` gets to hear about a listener.
  public enum Verdict: Sendable, Hashable {
    /// A broker has it.
    case supervised
    /// Every call is let through for now; a broker is tried again and again.
    case unsupervised(why: String)
  }

  /// A listener while this process holds it.
  private final class Held {
    let listener: NotificationListener
    let calls: NotifiedCalls
    /// Of the broker that has it, or had it last.
    var ledger: NotificationLedgerReader?
    var isSupervised = false
    /// Whoever submitted it waits to hear what the first try came to.
    var isNew = true

    init(_ listener: consuming NotificationListener, _ calls: NotifiedCalls) {
      self.listener = listener
      self.calls = calls
    }
  }

  private enum Token {
    static let source: UInt64 = 0
    static let connection: UInt64 = 1
    static let firstListener: UInt64 = 2
  }

  /// Nanoseconds between two tries to reach a broker.
  private static let pause: UInt64 = 100_000_000
  /// Nanoseconds after a broker has refused a listener.
  private static let pauseAfterRefusal: UInt64 = 1_000_000_000
  /// Milliseconds after which a broker that does not answer counts as none.
  private static let patience: Int32 = 1000
  /// Calls that are let through before anything else is looked at.
  private static let burst = 64

  private let path: String?
  private let epoll: Epoll
  private var source: ClientDescriptor?
  private var session: Session?
  private var listeners: [UInt64: Held] = [:]
  private var nextToken = Token.firstListener
  /// CLOCK_MONOTONIC; nil: nothing is to be tried.
  private var nextTry: UInt64?

  /// - Parameters:
  ///   - path: the broker's socket; nil: no broker is ever asked.
  ///   - source: a SOCK_SEQPACKET connection, from the other end of which `submit` sends listeners.
  public init(path: String?, source: consuming Descriptor) throws(SystemError) {
    let client = try ClientDescriptor(source, inChild: .closed)
    let epoll = try Epoll()
    try epoll.add(client.number, .readable, token: Token.source)
    self.path = path
    self.epoll = epoll
    self.source = client
  }

  /// Works until the source has ended and every program whose calls are notified has.
  public mutating func run() throws(SystemError) {
    let events = Epoll.EventList()
    while source != nil || !listeners.isEmpty {
      try epoll.wait(into: events, timeoutMilliseconds: timeout())
      for index in 0..<events.count { try handle(events[index]) }
      if let due = nextTry, due <= Clock.monotonic() { try offerAll() }
    }
  }

  private func timeout() -> Int32 {
    guard let nextTry else { return -1 }
    let now = Clock.monotonic()
    // Rounded up: a wait that ends too early would be repeated.
    return nextTry <= now ? 0 : Int32(clamping: (nextTry - now + 999_999) / 1_000_000)
  }

  private mutating func handle(_ event: Epoll.Event) throws(SystemError) {
    switch event.token {
    case Token.source: try takeSubmission()
    case Token.connection: try lookAtConnection()
    default:
      guard let held = listeners[event.token] else { return }
      // POLLERR alone is no end: the kernel says it where a signal came between (kernel/seccomp.c, seccomp_notify_poll).
      if try held.listener.hasEnded {
        try epoll.remove(held.listener.descriptor.rawValue)
        listeners[event.token] = nil
        if listeners.isEmpty { try leaveBroker() }
      } else if !held.isSupervised {
        try letThrough(held)
      }
    }
  }

  // MARK: Without a broker

  private func letThrough(_ held: Held) throws(SystemError) {
    for _ in 0..<ListenerKeeper.burst {
      switch try held.listener.receive() {
      case .notification(let notification): _ = try held.listener.letThrough(notification.id)
      case .interrupted: continue
      case .wouldBlock: return
      }
    }
  }

  /// Answers what a broker had received and not answered: the kernel delivers it to nobody else.
  private func clearLedger(_ held: Held) throws(SystemError) {
    guard let unanswered = held.ledger?.unanswered() else { return }
    for id in unanswered.ids { _ = try held.listener.letThrough(id) }
  }

  // MARK: The broker comes and goes

  private mutating func lookAtConnection() throws(SystemError) {
    guard let socket = session?.socket else { return }
    var nothing = [UInt8](repeating: 0, count: 64)
    // A broker says nothing unasked; what it says all the same is no sign that it has gone.
    if case .ready(let received)? = try? socket.receive(into: &nothing, blocking: false), received.count > 0 { return }
    try loseBroker()
  }

  /// Nothing is left that a broker could have: no connection is kept open for what may come.
  private mutating func leaveBroker() throws(SystemError) {
    guard let unused = session.take() else { return }
    try epoll.remove(unused.socket.number)
  }

  private mutating func loseBroker() throws(SystemError) {
    guard let lost = session else { return }
    try epoll.remove(lost.socket.number)
    session = nil
    for (token, held) in listeners where held.isSupervised {
      held.isSupervised = false
      try clearLedger(held)
      try epoll.modify(held.listener.descriptor.rawValue, .readable, token: token)
    }
    if !listeners.isEmpty { nextTry = Clock.monotonic() + ListenerKeeper.pause }
  }

  /// Tries to have every listener that has none supervised by a broker.
  private mutating func offerAll() throws(SystemError) {
    nextTry = nil
    guard let path else { return }
    for (token, held) in listeners.sorted(by: { $0.key < $1.key }) where !held.isSupervised {
      // A broker whose connection ended, and which lives, may have received one more since.
      try clearLedger(held)
      do throws(PosternError) {
        try connect(to: path)
        try offer(held, token)
        tell(held, .supervised)
      } catch {
        tell(held, .unsupervised(why: "\(error)"))
        switch error {
        case .refused, .failed, .usage: retry(after: ListenerKeeper.pauseAfterRefusal)
        case .unreachable, .disconnected, .violation:
          try loseBroker()
          retry(after: ListenerKeeper.pause)
          // The others would fare no better; whoever waits for theirs hears it at the next try.
          return
        }
      }
    }
  }

  private mutating func connect(to path: String) throws(PosternError) {
    guard session == nil else { return }
    let fresh = try Session(
      path: path, client: "postern keep", requestID: 0, timeoutMilliseconds: ListenerKeeper.patience)
    do { try epoll.add(fresh.socket.number, .readable, token: Token.connection) } catch { throw .unreachable(error) }
    session = fresh
  }

  private mutating func retry(after pause: UInt64) {
    let due = Clock.monotonic() + pause
    nextTry = nextTry.map { min($0, due) } ?? due
  }

  private mutating func offer(_ held: Held, _ token: UInt64) throws(PosternError) {
    guard var asking = session.take() else { return }
    defer { session = asking }
    // From here on notifications wait for whoever takes them first. Nothing is under way that we have received.
    let ledger = try asking.supervise(held.listener.descriptor.rawValue, held.calls)
    do {
      held.ledger = try NotificationLedgerReader(ledger)
      try epoll.modify(held.listener.descriptor.rawValue, [], token: token)
    } catch { throw .failed(errno: error.errno, text: "\(error)") }
    held.isSupervised = true
  }

  // MARK: Submissions

  private mutating func takeSubmission() throws(SystemError) {
    guard let source else { return }
    var message = [UInt8](repeating: 0, count: 16)
    guard case .ready(var received) = try source.receive(into: &message, blocking: false) else { return }
    guard received.count == 1, let descriptor = received.takeDescriptor() else {
      try epoll.remove(source.number)
      self.source = nil
      return
    }
    let held = Held(try NotificationListener(descriptor), NotifiedCalls(rawValue: message[0]))
    listeners[nextToken] = held
    try epoll.add(held.listener.descriptor.rawValue, .readable, token: nextToken)
    nextToken += 1
    if path == nil { tell(held, .unsupervised(why: "")) } else { nextTry = Clock.monotonic() }
  }

  /// The submitter hears of the first try only.
  private func tell(_ held: Held, _ verdict: Verdict) {
    guard held.isNew else { return }
    held.isNew = false
    let bytes: [UInt8] =
      switch verdict {
      case .supervised: [0]
      case .unsupervised(let why): [1] + Array(why.utf8.prefix(Bounds.text))
      }
    let nothing: [UInt8] = []
    // Who does not wait for the answer has ended, and the listener will say so.
    _ = try? source?.send(bytes.span, nothing.span, blocking: false)
  }

  /// Gives a listener to the keeper at the other end of `keeper`, and waits until a broker has it or was tried.
  ///
  /// - Parameter listener: stays open here.
  public static func submit(
    _ listener: borrowing Descriptor, _ calls: NotifiedCalls, to keeper: borrowing Descriptor
  ) throws(SystemError) -> Verdict {
    let (keeper, listener) = (keeper.rawValue, listener.rawValue)
    _ = try [calls.rawValue].withRawSpan { (span) throws(SystemError) in
      try MessageSocket.send(keeper, span, descriptor: listener, blocking: true)
    }
    var answer = MessageBuffer(capacity: 1 + Bounds.text)
    guard case .ready(let received) = try MessageSocket.receive(keeper, into: &answer, blocking: true),
      received.count > 0
    else { throw SystemError(errno: ErrorCode.connectionReset, operation: "keeper") }
    let bytes = answer.copy()
    return bytes[0] == 0 ? .supervised : .unsupervised(why: String(decoding: bytes.dropFirst(), as: UTF8.self))
  }
}

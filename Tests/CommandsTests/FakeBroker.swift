import Foundation
import Glibc
import Instructions
import Linux
import Postern
import Synchronization
import Wire

@testable import PosternCommands

/// The broker's side of the protocol, answering from a closure: what a test needs to see a command from outside.
final class FakeBroker: Sendable {
  /// What the broker does with one request; none: it closes the connection.
  typealias Answer = @Sendable (Request) -> [Reply]
  /// What an opened object does with one instruction.
  typealias Perform = @Sendable (InstructionFrame, [UInt8]) -> Completed

  /// What it does about a system call whose listener it was given.
  enum Verdict: Sendable {
    case letThrough
    case fail(Int32)
    /// Never answers, as a broker that is killed in the middle.
    case leave
  }
  typealias Notified = @Sendable (Linux.Notification) -> Verdict

  struct Completed: Sendable {
    var result: Int64
    var reason: Reason?
    var bytes: [UInt8] = []

    static func read(_ bytes: [UInt8]) -> Completed { Completed(result: Int64(bytes.count), bytes: bytes) }
    static func wrote(_ count: Int) -> Completed { Completed(result: Int64(count)) }
    static func failed(_ errno: Int32) -> Completed { Completed(result: -Int64(errno)) }
    static func refused(_ reason: Reason) -> Completed { Completed(result: -Int64(reason.errno), reason: reason) }
  }

  let path: String
  private let log = Mutex<[Request]>([])
  private let stop: EventDescriptor

  var requests: [Request] { log.withLock { $0.filter { $0.kind != .hello } } }

  /// A broker that is asked things.
  convenience init(admin: Bool = true, answer: @escaping Answer) throws {
    try self.init(admin: admin, kind: .disk, length: 0, perform: { _, _ in .refused(.operation) }, answer: answer)
  }

  /// A broker of unmodified programs.
  ///
  /// - Parameter path: of its socket; nil: a new one.
  convenience init(plan rows: [PlanRow], at path: String? = nil, notified: @escaping Notified) throws {
    try self.init(
      admin: false, kind: .socket, length: 0, path: path, perform: { _, _ in .refused(.operation) },
      notified: notified
    ) { request in
      switch request {
      case .plan(let query):
        var page = Page<PlanRow>()
        for row in rows where query.object.isEmpty || row.object == query.object { _ = try? page.append(row) }
        return [.plan(page)]
      case .supervise: return [.supervised]
      default: return []
      }
    }
  }

  /// A broker with one object on the path direct, which can be opened once.
  ///
  /// - Parameter direct: the object's own descriptor.
  convenience init(kind: ObjectKind, length: UInt64, direct: consuming Descriptor) throws {
    let held = SharedDescriptor(direct)
    try self.init(
      admin: true, kind: kind, length: length, direct: held, perform: { _, _ in .refused(.operation) },
      answer: { request in if case .release = request { [.done] } else { [] } })
  }

  /// A broker with one object, which everyone may open.
  convenience init(kind: ObjectKind = .disk, length: UInt64 = 0, perform: @escaping Perform) throws {
    try self.init(admin: true, kind: kind, length: length, perform: perform, answer: { _ in [] })
  }

  private init(
    admin: Bool, kind: ObjectKind, length: UInt64, path: String? = nil, direct: SharedDescriptor? = nil,
    perform: @escaping Perform,
    notified: @escaping Notified = { _ in .letThrough }, answer: @escaping Answer
  ) throws {
    self.path = path ?? FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString.prefix(8)).sock"
    stop = try EventDescriptor()
    let listener = try MessageSocket.listen(at: self.path, mode: 0o666)
    let loop = FakeBrokerLoop(
      welcome: Welcome(broker: "posternd", features: [.mediated], admin: admin), kind: kind, length: length,
      direct: direct, perform: perform, answer: answer, notified: notified, listener: listener,
      stop: try stop.descriptor.duplicate()
    )
    _ = try Thread("fake-broker") { [weak self] in
      loop.run { request in self?.log.withLock { $0.append(request) } }
    }
  }

  deinit {
    stop.signal()
    try? FileManager.default.removeItem(atPath: path)
  }
}

/// What the fake broker's one thread has.
private final class FakeBrokerLoop: Sendable {
  private enum Token: UInt64 { case listener, control, channel, stop }

  let welcome: Welcome
  let kind: ObjectKind
  let length: UInt64
  /// Given out once; nil: a channel is.
  let direct: SharedDescriptor?
  let perform: FakeBroker.Perform
  let answer: FakeBroker.Answer
  let notified: FakeBroker.Notified
  let listener: Descriptor
  let stop: Descriptor

  init(
    welcome: Welcome, kind: ObjectKind, length: UInt64, direct: SharedDescriptor?,
    perform: @escaping FakeBroker.Perform, answer: @escaping FakeBroker.Answer, notified: @escaping FakeBroker.Notified,
    listener: consuming Descriptor,
    stop: consuming Descriptor
  ) {
    self.welcome = welcome
    self.kind = kind
    self.length = length
    self.direct = direct
    self.perform = perform
    self.answer = answer
    self.notified = notified
    self.listener = listener
    self.stop = stop
  }

  func run(_ note: (Request) -> Void) {
    // A failure ends the thread and closes everything: the command under test then says "gone".
    try? serve(note)
  }

  private func serve(_ note: (Request) -> Void) throws {
    let epoll = try Epoll()
    let events = Epoll.EventList()
    var buffer = MessageBuffer(capacity: Bounds.controlMessage)
    var datagrams = MessageBuffer(capacity: Bounds.instructionDatagram)
    var control: Descriptor?
    var channel: Descriptor?
    try epoll.add(listener.rawValue, .readable, token: Token.listener.rawValue)
    try epoll.add(stop.rawValue, .readable, token: Token.stop.rawValue)
    while true {
      try epoll.wait(into: events, timeoutMilliseconds: -1)
      for index in 0..<events.count {
        switch Token(rawValue: events[index].token) {
        case .listener:
          guard case .ready(let accepted) = try MessageSocket.accept(listener.rawValue) else { continue }
          try epoll.add(accepted.rawValue, .readable, token: Token.control.rawValue)
          control = consume accepted
        case .control:
          guard let fd = control?.rawValue else { continue }
          guard case .ready(let message) = try MessageSocket.receive(fd, into: &buffer), message.count > 0 else {
            control = nil
            continue
          }
          let (id, request) = try buffer.withSpan { (span) throws(WireError) in try Request.decode(span) }
          note(request)
          let replies = replies(to: request)
          if replies.isEmpty { control = nil }
          for reply in replies {
            var attached: Descriptor?
            if case .opened(let opened) = reply, opened.path == .direct {
              attached = direct?.take()
            } else if case .opened = reply {
              let pair = try MessageSocket.pair(bufferSize: 1 << 20)
              attached = try pair.second.duplicate()
              let end = try pair.first.duplicate()
              try epoll.add(end.rawValue, .readable, token: Token.channel.rawValue)
              channel = consume end
            }
            let given: Int32? =
              switch message.descriptor {
              case .some(let descriptor): descriptor.rawValue
              case .none: nil
              }
            if case .supervised = reply, let given {
              let ledger = try NotificationLedger()
              attached = try ledger.duplicate()
              let own = Descriptor(adopting: fcntl(given, F_DUPFD_CLOEXEC, 0))
              try Supervised(
                listener: try NotificationListener(own), ledger: ledger, stop: try stop.duplicate(),
                notified: notified
              ).start()
            }
            let bytes = try reply.encode(id: id)
            let number = attached?.rawValue
            _ = try bytes.withRawSpan { (span) throws(SystemError) in
              try MessageSocket.send(fd, span, descriptor: number, blocking: true)
            }
          }
        case .channel:
          guard let fd = channel?.rawValue else { continue }
          guard case .ready(let message) = try MessageSocket.receive(fd, into: &datagrams), message.count > 0 else {
            channel = nil
            continue
          }
          try perform(datagrams.copy(), fd)
        case .stop, nil: return
        }
      }
    }
  }

  private func replies(to request: Request) -> [Reply] {
    switch request {
    case .hello: return [.welcome(welcome)]
    case .open, .handOver:
      let chosen = answer(request)
      return chosen.isEmpty ? [.challenge(Nonce(low: 1, high: 2))] : chosen
    case .confirm:
      return [
        .opened(
          Opened(
            association: AssociationID(rawValue: 1), channel: direct == nil ? 1 : 0, object: ObjectID(rawValue: 1),
            kind: kind, path: direct == nil ? .mediated : .direct, operations: kind.operations, generation: 1,
            expiry: 0, rangeLength: length,
            maximumPayload: UInt32(Bounds.payload)))
      ]
    default: return answer(request)
    }
  }

  /// Each instruction gets a datagram of its own, as their payloads together may be too long for one.
  private func perform(_ datagram: [UInt8], _ fd: Int32) throws {
    var batch = try InstructionBatch(decoding: datagram.span)
    while let frame = try batch.next(datagram.span) {
      let completed = perform(frame, Array(datagram[frame.payload]))
      var answer = CompletionFrame(cookie: frame.cookie, result: completed.result, reason: completed.reason)
      answer.payload = 0..<completed.bytes.count
      var bytes = [UInt8](repeating: 0, count: CompletionBatch.payloadOffset(count: 1))
      var span = bytes.mutableSpan
      try answer.encode(into: &span, index: 0)
      try CompletionBatch.encodeHeader(count: 1, payload: completed.bytes.count, into: &span)
      bytes += completed.bytes
      _ = try bytes.withRawSpan { (span) throws(SystemError) in
        try MessageSocket.send(fd, span, blocking: true)
      }
    }
  }
}

/// A listener that the fake broker answers on a thread of its own, until it is stopped.
private final class Supervised: Sendable {
  private let listener: NotificationListener
  private let ledger: NotificationLedger
  private let stop: Descriptor
  private let notified: FakeBroker.Notified

  init(
    listener: consuming NotificationListener, ledger: consuming NotificationLedger, stop: consuming Descriptor,
    notified: @escaping FakeBroker.Notified
  ) {
    self.listener = listener
    self.ledger = ledger
    self.stop = stop
    self.notified = notified
  }

  func start() throws(SystemError) { _ = try Thread("fake-supervisor") { [self] in try? run() } }

  private func run() throws {
    let epoll = try Epoll()
    let events = Epoll.EventList()
    try epoll.add(listener.descriptor.rawValue, .readable, token: 0)
    try epoll.add(stop.rawValue, .readable, token: 1)
    while true {
      try epoll.wait(into: events, timeoutMilliseconds: -1)
      for index in 0..<events.count {
        guard events[index].token == 0, !events[index].events.contains(.hangUp) else { return }
        guard case .notification(let call) = try listener.receive(into: ledger) else { continue }
        _ = ledger.begin(call.id)
        switch notified(call) {
        case .letThrough: _ = try listener.letThrough(call.id)
        case .fail(let code): _ = try listener.fail(call.id, errno: code)
        case .leave: continue
        }
        ledger.end(call.id)
      }
    }
  }
}

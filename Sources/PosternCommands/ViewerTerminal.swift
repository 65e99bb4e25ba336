import Audit
import AuditAnalysis
import AuditViewer
import Linux

/// The viewer on a terminal: waits for keys, signals, records and what was retold, and draws.
struct ViewerTerminal: ~Copyable {
  private enum Token: UInt64 { case terminal, signals, feed, retelling, search }

  /// Nanoseconds between two drawings while records come.
  private static let pause: UInt64 = 50_000_000
  /// Pages of records that are taken before keys are looked at again.
  private static let pages = 4
  /// Milliseconds after which an escape character is the key.
  private static let escapeDelay: Int32 = 50

  private var viewer: Viewer
  private let abilities: TerminalAbilities
  private let terminal: Terminal
  private let signals: SignalDescriptor
  private let epoll: Epoll
  private let feed: RecordFeed
  private let retelling: RetellingThread
  private let search: SearchThread
  private var decoder = KeyDecoder()
  /// What the terminal shows once `pending` is written; nil: nobody knows.
  private var shown: Screen?
  private var pending: ArraySlice<UInt8> = []
  private var waitsForRoom = false
  private var isDirty = true
  private var drawn: UInt64 = 0
  private var hasNews = false
  private var ended: CommandFailure?

  init(
    _ records: RecordSource, newest: Int, policy: String?, rights: [String], abilities: TerminalAbilities
  ) throws(SystemError) {
    let session = records.session
    let surroundings = session.surroundings
    self.abilities = abilities
    // Before there are threads, which would take the signals else.
    let signals = try SignalDescriptor([
      Signal.hangUp, Signal.interrupt, Signal.quit, Signal.terminate, Signal.windowChanged, Signal.stopTyped,
      Signal.continued,
    ])
    let terminal = try Terminal(farewell: Screen.leave)
    let epoll = try Epoll()
    let feed = try RecordFeed(records.broker, filter: records.filter, newest: newest, command: session.command)
    let retelling = try RetellingThread(socket: session.socketPath, policy: policy, command: session.command)
    let search = try SearchThread(socket: session.socketPath, base: records.filter, command: session.command)
    try epoll.add(terminal.descriptor.rawValue, .readable, token: Token.terminal.rawValue)
    try epoll.add(signals.descriptor.rawValue, .readable, token: Token.signals.rawValue)
    try epoll.add(feed.arrived.descriptor.rawValue, .readable, token: Token.feed.rawValue)
    try epoll.add(retelling.told.descriptor.rawValue, .readable, token: Token.retelling.rawValue)
    try epoll.add(search.found.descriptor.rawValue, .readable, token: Token.search.rawValue)
    let size = Self.size(terminal)
    self.signals = signals
    self.terminal = terminal
    self.epoll = epoll
    self.feed = feed
    self.retelling = retelling
    self.search = search
    viewer = Viewer(
      size: size, capacity: newest, base: records.filter.shownText, rights: rights,
      time: { text in (try? ArgumentReading.moment(text))?.nanoseconds(now: surroundings.now) })
  }

  /// Why it ended.
  enum End {
    case quit
    case signal(Int32)
    case failure(CommandFailure)
  }

  /// Until somebody quits, a signal says so, or the broker says no.
  mutating func run() throws(SystemError) -> End {
    try enter()
    defer { terminal.leave() }
    let events = Epoll.EventList()
    while ended == nil {
      try epoll.wait(into: events, timeoutMilliseconds: timeout)
      if events.count == 0, decoder.isWaiting {
        for key in decoder.flush() where try handle(.key(key)) { return .quit }
      }
      for index in 0..<events.count {
        switch Token(rawValue: events[index].token) {
        case .terminal: if try readKeys() { return .quit }
        case .signals: if let signal = try readSignals() { return .signal(signal) }
        case .feed:
          feed.arrived.drain()
          hasNews = true
        case .retelling: if let detail = retelling.take() { _ = try handle(.explained(detail)) }
        case .search: if let result = search.take() { _ = try handle(.found(result)) }
        case nil: break
        }
      }
      if hasNews, viewer.wantsRecords { try takeNews() }
      try draw()
    }
    return ended.map { .failure($0) } ?? .quit
  }

  private static func size(_ terminal: borrowing Terminal) -> ScreenSize {
    let size = try? terminal.size()
    // A terminal that does not say is as they were once.
    return ScreenSize(
      width: size.map { $0.columns > 0 ? $0.columns : 80 } ?? 80, height: size.map { $0.rows > 0 ? $0.rows : 24 } ?? 24)
  }

  /// Milliseconds until something has to be done without an event.
  private var timeout: Int32 {
    if hasNews, viewer.wantsRecords { return 0 }
    if isDirty, pending.isEmpty {
      let next = drawn + Self.pause
      let now = Clock.monotonic()
      return next > now ? Int32((next - now) / 1_000_000) + 1 : 0
    }
    return decoder.isWaiting ? Self.escapeDelay : -1
  }

  // MARK: Events

  /// - Returns: whether to quit.
  private mutating func handle(_ event: Viewer.Event) throws(SystemError) -> Bool {
    isDirty = true
    for effect in viewer.handle(event) {
      switch effect {
      case .quit: return true
      case .suspend: try suspend()
      case .redraw: shown = nil
      case .explain(let sequence): retelling.ask(sequence)
      case .search(let question): search.ask(question)
      }
    }
    return false
  }

  private mutating func readKeys() throws(SystemError) -> Bool {
    if waitsForRoom { try flush() }
    let bytes = try terminal.read()
    for key in decoder.take(bytes) where try handle(.key(key)) { return true }
    // A person sees at once what they typed.
    if !bytes.isEmpty { drawn = 0 }
    return false
  }

  private mutating func readSignals() throws(SystemError) -> Int32? {
    while let signal = signals.next() {
      switch signal {
      case Signal.windowChanged: _ = try handle(.resized(Self.size(terminal)))
      case Signal.stopTyped: try suspend()
      case Signal.continued: try enter()
      default: return signal
      }
    }
    return nil
  }

  private mutating func takeNews() throws(SystemError) {
    let (news, hasMore) = feed.take(Self.pages)
    hasNews = hasMore
    for item in news {
      switch item {
      case .records(let records, let unreadable): _ = try handle(.records(records, unreadable: unreadable))
      case .skipped(let count): _ = try handle(.skipped(count))
      case .brokerLost(let why): _ = try handle(.brokerLost(why))
      case .brokerBack: _ = try handle(.brokerBack)
      case .ended(let failure): ended = failure
      }
    }
  }

  // MARK: The terminal

  private mutating func enter() throws(SystemError) {
    try terminal.enter()
    pending = Array("\(Screen.enter)".utf8)[...]
    shown = nil
    isDirty = true
    drawn = 0
    _ = try handle(.resized(Self.size(terminal)))
  }

  private mutating func suspend() throws(SystemError) {
    terminal.leave()
    OwnProcess.stop()
    try enter()
  }

  private mutating func draw() throws(SystemError) {
    if !pending.isEmpty { try flush() }
    // A terminal that is slow gets fewer screens, not a queue of them.
    guard isDirty, pending.isEmpty else { return }
    let now = Clock.monotonic()
    guard now >= drawn + Self.pause else { return }
    let screen = viewer.screen
    pending = screen.bytes(after: shown, abilities)[...]
    shown = screen
    isDirty = false
    drawn = now
    try flush()
  }

  private mutating func flush() throws(SystemError) {
    while !pending.isEmpty {
      let count = try terminal.write(pending)
      if count == 0 { break }
      pending = pending.dropFirst(count)
    }
    guard waitsForRoom == pending.isEmpty else { return }
    waitsForRoom = !pending.isEmpty
    try epoll.modify(
      terminal.descriptor.rawValue, waitsForRoom ? [.readable, .writable] : .readable, token: Token.terminal.rawValue)
  }
}

extension AuditFilter {
  /// For a screen.
  fileprivate var shownText: String { terms.map { "\($0.key):\($0.value.escaped)" }.joined(separator: " ") }
}

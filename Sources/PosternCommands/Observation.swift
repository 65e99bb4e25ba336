import Instructions
import Linux
import Postern
import Supervision

/// A child whose calls are looked at and let through, until it ends.
///
/// Looking decides nothing: each call is made by the kernel with its own checks, whatever was seen.
struct Observation: ~Copyable {
  private enum Token {
    static let listener: UInt64 = 0
    static let signals: UInt64 = 1
    static let child: UInt64 = 2
  }

  /// Nanoseconds in which what the child leaves behind may end too before it counts as going on.
  private static let grace: UInt64 = 200_000_000
  private static let burst = 64

  private let listener: NotificationListener
  private let child: ChildProcess
  private let handle: Descriptor
  private let signals: SignalDescriptor
  private let epoll: Epoll
  private let look: CallLook
  private var observed = Observed()
  private var hasChildEnded = false

  init(_ listener: consuming NotificationListener, _ child: consuming ChildProcess) throws(SystemError) {
    // The child is in our process group, so what comes from the terminal comes to both, and only the child ends of it;
    // SIGTSTP stops both. What is sent to us alone is passed on.
    let signals = try SignalDescriptor([Signal.interrupt, Signal.quit, Signal.terminate, Signal.hangUp])
    let handle = try ProcessPin.handle(of: child.pid)
    let epoll = try Epoll()
    try epoll.add(listener.descriptor.rawValue, .readable, token: Token.listener)
    try epoll.add(signals.descriptor.rawValue, .readable, token: Token.signals)
    try epoll.add(handle.rawValue, .readable, token: Token.child)
    look = try CallLook()
    self.listener = listener
    self.child = child
    self.handle = handle
    self.signals = signals
    self.epoll = epoll
  }

  mutating func run() throws(SystemError) -> Observed {
    let events = Epoll.EventList()
    var end: UInt64?
    while true {
      if hasChildEnded, try listener.hasEnded { break }
      if let end, Clock.monotonic() >= end { break }
      try epoll.wait(into: events, timeoutMilliseconds: end == nil ? -1 : 10)
      for index in 0..<events.count { try handle(events[index].token) }
      if hasChildEnded, end == nil { end = Clock.monotonic() + Observation.grace }
    }
    if try !listener.hasEnded { try leaveToKeeper() }
    return observed
  }

  private mutating func handle(_ token: UInt64) throws(SystemError) {
    switch token {
    case Token.listener: try answer()
    case Token.signals:
      while let signal = signals.next() {
        if signal == Signal.terminate || signal == Signal.hangUp { child.send(signal: signal) }
      }
    default:
      guard !hasChildEnded, let status = try child.ended() else { return }
      observed.status = status
      hasChildEnded = true
      try epoll.remove(handle.rawValue)
    }
  }

  private mutating func answer() throws(SystemError) {
    for _ in 0..<Observation.burst {
      switch try listener.receive() {
      case .interrupted: continue
      case .wouldBlock: return
      case .notification(let notification):
        note(notification)
        _ = try listener.letThrough(notification.id)
      }
    }
  }

  private mutating func note(_ notification: Notification) {
    do throws(CallLook.Mistake) {
      guard let call = try look.refusal(of: notification) else { return }
      // What was looked at was the caller's if it waits all the same.
      if (try? listener.isValid(notification.id)) == true { observed.note(call) }
    } catch {
      if case .notPermitted = error { observed.unseen += 1 }
    }
  }

  /// A daemon of the program's, say: its calls must go on being answered when we have ended.
  private mutating func leaveToKeeper() throws(SystemError) {
    observed.goesOn = true
    let pair = try MessageSocket.pair()
    try OwnProcess.spawnDetached(["postern", "keep", "--alone"], pair.second)
    _ = try ListenerKeeper.submit(listener.descriptor, .all, to: pair.takeFirst())
  }
}

/// Finds out whether the kernel is going to refuse a call for want of a privilege.
struct CallLook {
  enum Mistake: Error {
    /// We may not look at the process.
    case notPermitted
    case other
  }

  /// What the kernel makes of the calls of a process that has our own credentials.
  private let own: ThreadFacts
  private let unprivilegedPort: UInt16
  private let network: UInt64

  init() throws(SystemError) {
    own = try NotifyingThread(tid: Confinement.processID).facts()
    network = try SocketDescription.networkCookie(namespacePath: nil)
    let text = (try? ProcFile.read("/proc/sys/net/ipv4/ip_unprivileged_port_start", limit: 16)) ?? []
    unprivilegedPort = UInt16(String(decoding: text.filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)) ?? 1024
  }

  /// nil: the call needs no privilege, or fails for another reason.
  func refusal(of notification: Notification) throws(Mistake) -> RefusedCall? {
    guard notification.thread > 0, let call = NotifiedCall(notification) else { return nil }
    do throws(SystemError) {
      let thread = try NotifyingThread(tid: notification.thread)
      let facts = try thread.facts()
      let subject: RefusedCall.Subject?
      switch call {
      case .bind: subject = try port(notification, thread, facts)
      case .socket: subject = socket(notification, facts)
      case .open(let arguments): subject = try device(arguments, thread, facts)
      }
      guard let subject else { return nil }
      let user = ((try? Accounts().user(id: facts.effectiveUID)) ?? nil)?.name ?? "\(facts.effectiveUID)"
      return RefusedCall(
        subject: subject, user: user, executable: try ProcFile.readLink("/proc/\(thread.tgid)/exe"))
    } catch { throw error.isNotPermitted ? .notPermitted : .other }
  }

  private func has(_ facts: ThreadFacts, _ capability: Capability) -> Bool {
    facts.effectiveCapabilities & (1 << UInt64(capability.rawValue)) != 0
  }

  private func port(
    _ notification: Notification, _ thread: borrowing NotifyingThread, _ facts: ThreadFacts
  ) throws(SystemError) -> RefusedCall.Subject? {
    let length = Int(truncatingIfNeeded: notification.arguments.2 & 0xffff_ffff)
    guard !has(facts, .netBindService), (1...128).contains(length) else { return nil }
    let name = SocketName(try thread.read(at: notification.arguments.1, count: length))
    guard case .internet(let address) = name.form, address.port != 0 else { return nil }
    let socket = try SocketDescription(of: try thread.fetch(Int32(truncatingIfNeeded: notification.arguments.0)))
    // Another network namespace has a limit of its own, which only its processes can read.
    guard address.port < (socket.network == network ? unprivilegedPort : 1024) else { return nil }
    // SOCK_STREAM with IPPROTO_TCP or IPPROTO_MPTCP; SOCK_DGRAM with IPPROTO_UDP.
    switch (socket.type, socket.ipProtocol) {
    case (1, 6), (1, 262): return .port(address, isStream: true)
    case (2, 17): return .port(address, isStream: false)
    default: return nil
    }
  }

  private func socket(_ notification: Notification, _ facts: ThreadFacts) -> RefusedCall.Subject? {
    guard !has(facts, .netRaw) else { return nil }
    let number = UInt8(exactly: Int32(truncatingIfNeeded: notification.arguments.2))
    switch Int32(truncatingIfNeeded: notification.arguments.0) {
    case 17: return .packetSocket
    // A protocol of 0 is none of a raw socket's (raw(7)).
    case 2: return number.flatMap { $0 == 0 ? nil : .rawSocket(.ipv4, ipProtocol: $0) }
    case 10: return number.flatMap { $0 == 0 ? nil : .rawSocket(.ipv6, ipProtocol: $0) }
    default: return nil
    }
  }

  private func device(
    _ arguments: NotifiedCall.OpenArguments, _ thread: borrowing NotifyingThread, _ facts: ThreadFacts
  ) throws(SystemError) -> RefusedCall.Subject? {
    var flags = OpenFlags(rawValue: arguments.flags)
    var rules: ResolveRules = []
    if let how = arguments.how {
      guard let read = try OpenHow(thread, at: how.address, size: how.size) else { return nil }
      (flags, rules) = (read.flags, read.rules)
    }
    guard let served = OpenFlags.servable(flags) else { return nil }
    let path = try thread.readString(at: arguments.path, limit: 4096)
    let surroundings = try PathSurroundings(tgid: thread.tgid, tid: thread.tid, directory: arguments.directory)
    // What is not there, or in a place that cannot be reached, is no question of a grant.
    guard let file = try? surroundings.resolve(path, follow: served.follow, rules: rules) else { return nil }
    let status = try file.status()
    guard status.kind == .blockDevice || status.kind == .characterDevice else { return nil }
    guard try !mayOpen(file, served.access, facts) else { return nil }
    return .device(
      RefusedCall.Device(
        path: try file.resolvedPath(), isBlock: status.kind == .blockDevice,
        subsystem: CallLook.subsystem(of: status.specialDevice, isBlock: status.kind == .blockDevice),
        reads: served.access != .writeOnly, writes: served.access != .readOnly))
  }

  /// As the kernel would say, access control lists included, where the process has our credentials; else by the mode.
  private func mayOpen(_ file: borrowing Descriptor, _ access: Served.Access, _ facts: ThreadFacts)
    throws(SystemError) -> Bool
  {
    let isLikeUs =
      facts.fsUID == own.fsUID && facts.fsGID == own.fsGID && Set(facts.groups) == Set(own.groups)
      && facts.effectiveCapabilities == own.effectiveCapabilities
    return isLikeUs ? file.isAccessible(access) : try FilePermission.allows(file, access, to: facts)
  }

  /// The name of a device's class in sysfs(5); empty where it is not known.
  private static func subsystem(of device: UInt64, isBlock: Bool) -> String {
    // major(3), minor(3)
    let major = device >> 8 & 0xfff | device >> 32 & ~0xfff
    let minor = device & 0xff | device >> 12 & ~0xff
    let link = try? ProcFile.readLink("/sys/dev/\(isBlock ? "block" : "char")/\(major):\(minor)/subsystem")
    return link?.split(separator: "/").last.map(String.init) ?? ""
  }
}

extension ProcessSurroundings {
  /// Runs a program as a child with every call that is notified of looked at, until it ends.
  func observe(_ launch: Launch) throws(CommandFailure) -> Observed {
    do throws(SystemError) {
      let pair = try MessageSocket.pair()
      let theirs = pair.second.rawValue
      let child = try ChildProcess { beObserved(launch, theirs) }
      OwnProcess.restoreDefault(signal: Signal.childEnded)
      guard let listener = try ProcessSurroundings.receiveListener(pair.takeFirst()) else {
        // The child has said why.
        var observed = Observed()
        observed.status = try child.wait()
        return observed
      }
      var observation = try Observation(listener, child)
      return try observation.run()
    } catch {
      throw CommandFailure(.notStarted, "run --learn: \(error)".escapedForTerminal, errno: error.errno)
    }
  }

  /// In the child: puts the filter on, gives its listener away, and becomes the program.
  private func beObserved(_ launch: Launch, _ parent: Int32) -> Never {
    do throws(CommandFailure) {
      let listener = try ProcessSurroundings.installFilter(.all)
      do {
        _ = try [0].withRawSpan { (span) throws(SystemError) in
          try MessageSocket.send(parent, span, descriptor: listener.rawValue, blocking: true)
        }
      } catch { throw CommandFailure(.notStarted, "run --learn: \(error)".escapedForTerminal) }
      try become(launch)
      OwnProcess.exitAtOnce(CommandStatus.bug.rawValue)
    } catch {
      let failure = error.preventingStart
      StandardError.write(failure.lines(prefix: "postern"))
      OwnProcess.exitAtOnce(failure.status.rawValue)
    }
  }

  /// nil: the child has ended without sending it.
  private static func receiveListener(_ source: consuming Descriptor) throws(SystemError) -> NotificationListener? {
    var buffer = MessageBuffer(capacity: 1)
    guard case .ready(let message) = try MessageSocket.receive(source.rawValue, into: &buffer, blocking: true) else {
      return nil
    }
    switch message.descriptor {
    case .some(let descriptor): return try NotificationListener(try descriptor.duplicate())
    case .none: return nil
    }
  }
}

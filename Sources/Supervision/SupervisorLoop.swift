import Authority
import Entity
import Instructions
import Linux
import Synchronization

/// The state of one supervisor's thread.
struct SupervisorLoop: ~Copyable {
  let supervisor: Supervisor
  /// Calls whose verdict has been asked for, by notification.
  var waiting: [UInt64: PreparedCall] = [:]
  /// Threads that have called, by their numbers.
  var callers: [Int32: Caller] = [:]

  /// How many threads are remembered; others are looked up again.
  private static let remembered = 16

  init(_ supervisor: Supervisor) { self.supervisor = supervisor }

  /// Until no process uses the filter any more, the supervisor is stopped, or the listener fails.
  mutating func run() {
    // An own file mode mask and working directory: unix sockets are bound with the program's.
    guard (try? UnixBinding.separateThread()) != nil, (try? separateDescriptors()) != nil else { return }
    var isResting = true
    while !supervisor.stopping.load(ordering: .acquiring) {
      guard
        let ready = try? Poll.wait(
          supervisor.listener.descriptor.rawValue, supervisor.wake.descriptor.rawValue,
          milliseconds: isResting ? -1 : 100)
      else { return }
      if ready.second {
        supervisor.wake.drain()
        takeVerdicts()
      }
      if ready.firstReadable {
        isResting = false
        receive()
      } else if ready.firstEnded, (try? supervisor.listener.hasEnded) != false {
        // poll(2) of a listener may say POLLERR where a signal came between; only a hang-up is the end.
        return
      } else if !ready.second, !isResting {
        NotificationListener.rest()
        isResting = true
      }
    }
  }

  /// A program can hold this thread up until long after the broker has ended: the journal's lock and the other programs'
  /// connections must not be held with it.
  private func separateDescriptors() throws(SystemError) {
    try Thread.separateDescriptors(keeping: [
      supervisor.listener.descriptor.rawValue, supervisor.wake.descriptor.rawValue,
      supervisor.queue.event.descriptor.rawValue,
    ])
  }

  private mutating func receive() {
    guard let received = try? supervisor.listener.take(into: supervisor.ledger) else {
      // For want of memory or timers (RLIMIT_SIGPENDING): what waits goes on waiting, without the thread spinning.
      return Clock.sleep(nanoseconds: 5_000_000)
    }
    guard case .notification(let notification) = received else { return }
    guard supervisor.ledger.begin(notification.id) else {
      // Too many calls of this filter wait for verdicts already.
      return letThrough(notification.id)
    }
    handle(notification)
  }

  private mutating func takeVerdicts() {
    let verdicts = supervisor.verdicts.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
    for (id, verdict) in verdicts {
      guard let call = waiting.removeValue(forKey: id) else { continue }
      switch verdict {
      case .refused:
        call.letGo()
        letThrough(id)
      case .associated(let object, let process, let recordsUses):
        guard let candidate = call.candidates.first(where: { $0.entry.id == object }) else {
          call.letGo()
          letThrough(id)
          continue
        }
        call.caller.recordsUses[object] = recordsUses ? true : nil
        remember(call.caller, object, process)
        perform(call, candidate, as: process, mayAsk: false)
      }
    }
  }

  // MARK: Callers

  /// The process that issued a call. Its facts are true as long as the notification is valid.
  mutating func caller(_ thread: Int32) throws(SystemError) -> Caller {
    if let known = callers[thread], known.thread.isAlive {
      known.forgetFormerProgram()
      return known
    }
    callers[thread] = nil
    let fresh = Caller(try NotifyingThread(tid: thread))
    if callers.count >= Self.remembered { callers = callers.filter { $0.value.thread.isAlive } }
    if callers.count >= Self.remembered { callers = [:] }
    callers[thread] = fresh
    return fresh
  }

  private func remember(_ caller: Caller, _ object: ObjectID, _ process: ProcessResource) {
    if caller.isCurrent { caller.associated[object] = process }
  }

  // MARK: Answers

  func letThrough(_ id: UInt64) {
    // Safe: nothing was granted, so the kernel's own checks of an unprivileged process decide, whatever it has written
    // over its arguments meanwhile (seccomp_unotify(2)).
    _ = try? supervisor.listener.letThrough(id)
    supervisor.ledger.end(id)
  }

  func answer(_ id: UInt64, errno: Int32) {
    _ = try? errno == 0 ? supervisor.listener.answer(id, value: 0) : supervisor.listener.fail(id, errno: errno)
    supervisor.ledger.end(id)
  }

  /// Lets a call through that the kernel is going to refuse, and says so where refusals are recorded.
  func refuse(_ call: SupervisedCall, _ reason: Reason, object: ObjectID? = nil, _ why: String) {
    if call.isPrivileged {
      // While it waits: these are the facts of the process that called.
      let facts = ProcessFacts(of: call.process)
      let start = (try? ProcessPin.startTime(of: call.process)) ?? 0
      supervisor.queue.post(.refused(call, reason: reason, object: object, why: why, by: facts, start: start))
    }
    letThrough(call.id)
  }

  private func refuse(_ call: PreparedCall, _ reason: Reason, object: ObjectID? = nil, _ why: String) {
    call.letGo()
    refuse(call.told, reason, object: object, why)
  }

  // MARK: Deciding

  /// Performs a call that an association is known for, or asks for a verdict.
  mutating func decide(_ call: PreparedCall) {
    for candidate in call.candidates {
      guard let process = call.caller.associated[candidate.entry.id] else { continue }
      return perform(call, candidate, as: process, mayAsk: true)
    }
    ask(call)
  }

  private mutating func ask(_ call: PreparedCall) {
    // Pinned before the verdict: a program that execs between the two is not taken for what was judged.
    guard call.caller.pin() else {
      return refuse(call, .undecidable, "the program cannot be looked at")
    }
    waiting[call.told.id] = call
    supervisor.queue.post(.judge(call.told))
  }

  /// Check, then perform: what is done consumes the grants.
  private mutating func perform(
    _ call: PreparedCall, _ candidate: PreparedCall.Candidate, as process: ProcessResource, mayAsk: Bool
  ) {
    let performing = Supervisor.Performing(object: candidate.entry.id, process: process)
    // Before the check: who drops the association afterwards waits until this is over.
    supervisor.performing.withLock { _ = $0.insert(performing) }
    call.process = process
    defer { supervisor.performing.withLock { _ = $0.remove(performing) } }
    var granted = GrantedOperations()
    for opcode in candidate.needed.opcodes {
      let instruction = Instruction(opcode: opcode, object: candidate.entry.id, operands: call.told.operands)
      switch supervisor.entity.check(instruction, issuer: .process(process), now: Clock.boottime()) {
      case .granted(let grant): granted.add(grant)
      case .refused where candidate.suffices == .any: continue
      case .refused(let reason):
        call.caller.associated[candidate.entry.id] = nil
        return mayAsk ? ask(call) : refuse(call, reason, object: candidate.entry.id, "the entity refused")
      }
    }
    guard !granted.isEmpty else {
      return refuse(call, .operation, object: candidate.entry.id, "nothing is granted")
    }
    guard (try? supervisor.listener.isValid(call.told.id)) == true else { return supervisor.ledger.end(call.told.id) }
    perform(granted, call, candidate)
    if call.caller.recordsUses[candidate.entry.id] == true {
      supervisor.queue.post(.performed(call.told, object: candidate.entry.id, process: process))
    }
  }

  /// On the path direct: what the program has from now on is checked by the kernel. Before it has it.
  func tag(
    _ descriptor: borrowing Descriptor, _ call: PreparedCall, _ candidate: PreparedCall.Candidate
  ) throws(SystemError) {
    guard let direct = supervisor.direct else { return }
    guard let process = call.process else {
      throw SystemError(errno: ErrorCode.accessDenied, operation: "tag")
    }
    try direct.tag(descriptor, candidate.entry.id, process, isOwn: true)
  }

  private func perform(
    _ granted: consuming GrantedOperations, _ call: PreparedCall, _ candidate: PreparedCall.Candidate
  ) {
    switch call.work {
    case .bind(let work): bind(granted, work, call, candidate)
    case .socket(let work): socket(granted, work, call, candidate)
    case .open(let work): open(granted, work, call, candidate)
    }
  }
}

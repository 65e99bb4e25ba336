import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Policy
import Supervision
import Wire

/// The broker's state and loop. Everything in here belongs to the one thread that runs `run()`; other threads (effects,
/// the journal's writer) reach it through their own queues and event descriptors.
public final class Broker {
  let configuration: BrokerConfiguration
  let entity: any AuthorizationEntity
  /// The same entity, where the kernel itself checks the path direct; nil: that path is not available.
  let direct: BPFEntity?
  /// Why it is not; for `doctor`.
  let directObstacle: DirectObstacle?
  /// What an earlier broker's numbers meant.
  var inherited: InheritedNames
  let opener: ObjectOpener
  let pool: EffectPool
  let journal: Journal
  let journalEvent: EventDescriptor
  /// Everybody may ask for any place in the journal, again and again.
  let knownDamage = KnownDamage()
  let revokeStore: RevokeStore
  var feeds: [SinkTarget: SinkFeed] = [:]
  let boot: BootID
  let startedAt: UInt64

  let epoll: Epoll
  /// Ended processes and process events: looked at after every receive and before every verdict.
  let witness: Epoll
  let processEvents: ProcessEvents?
  let listener: Descriptor
  let agent: SeccompAgent?
  let signals: SignalDescriptor
  let timer: TimerDescriptor
  var interpreter: Interpreter
  var request = MessageBuffer(capacity: Bounds.controlMessage + 1)
  let events = Epoll.EventList()
  let witnessed = Epoll.EventList(capacity: 64)

  var policy: PolicyModel
  var policyWarnings: [PolicyMistake]
  var authority = RuntimeAuthority()
  /// What was forked, while a broker looked, by processes that revokes name and by their descendants; by number.
  var revokedLines: [Int32: ProcessResource] = [:]
  var objects: [ObjectID: BrokeredObject] = [:]
  var objectIDs: [String: ObjectID] = [:]
  var nextObject: UInt32 = 1
  var nextApplication: UInt32 = 1
  /// Sockets that processes may still have open though their associations have ended: by process.
  var lingeringSockets: [Int32: Set<UInt64>] = [:]
  /// Ended holders of the path direct whose descendants live: evidence of descent.
  var departedHolders: [DepartedHolder] = []
  /// When it is to be told again how many refusals the kernel could not describe; boottime nanoseconds.
  var nextLossReport: UInt64 = 0
  /// When what the kernel could not describe is looked for although nothing is told any more; `.max`: nothing is open.
  var lossReportDue: UInt64 = .max
  var applicationIDs: [String: ApplicationID] = [:]
  var applicationNames: [ApplicationID: String] = [:]

  var connections: [UInt64: ControlConnection] = [:]
  var channels: [UInt64: ObjectChannel] = [:]
  /// By the cookie of the application's end, which is how an adopted channel is recognized.
  var channelCookies: [UInt64: UInt64] = [:]
  var sessions: [UInt64: Session] = [:]
  var processes: [Int32: ProcessEntry] = [:]
  var tree = ProcessTree()
  /// Unregistered processes whose leader has ended before other threads of theirs.
  var lingering: Set<Int32> = []
  var associationOwners: [AssociationID: AssociationOwner] = [:]
  var pendingGrants: [UInt64: PendingGrant] = [:]
  /// The application's ends of channels whose grants are not on disk yet, by grant token.
  var clientEnds: [UInt64: HeldDescriptor] = [:]
  var pendingRevokes: [PendingRevoke] = []
  var supervisors: [UInt64: Supervisor] = [:]
  /// The connections over which keepers gave the supervisors' listeners.
  var keeperConnections: [UInt64: UInt64] = [:]
  let supervision: SupervisorQueue
  let interceptBoard = InterceptBoard(InterceptTable())
  /// Calls that wait until an association's record is on disk.
  var supervisedWaits: [AssociationID: [SupervisedWait]] = [:]
  /// Processes that hold an object's own descriptor without an association, since an exec or a quota.
  var formerHolders: [FormerHolder] = []
  /// How many there may be before those that have ended are looked for.
  var formerHoldersBound = 64
  /// Why nothing can be handed over on this machine, as a trial showed; nil: it works.
  var handoverObstacle: String?
  var runningRecalls: [UInt64: RunningRecall] = [:]
  /// Whose inherited associations were refused and who has not been recalled for it: the next recall's number at that time.
  var refusedBound: [ProcessResource: UInt64] = [:]
  /// The process that hands of the path ring are forked from; nil: that path is not available.
  let ringHands: RingHands?
  /// Why nothing can be put into a ring, as a trial showed; nil: it works.
  var ringObstacle: String?
  /// Why no disk can, where other things can.
  var ringDiskObstacle: String?
  var ringUses: [UInt64: RingUse] = [:]
  var nextRing: UInt64 = 1
  /// Who left a socket that others kept in their rings, by session.
  var ringLeavers: [UInt64: RingLeavers] = [:]
  /// Objects given to a process whose exec has not been seen yet, by process.
  var pendingHandOvers: [Int32: [PendingHandOver]] = [:]
  var jobs: [UInt64: RunningJob] = [:]
  var rates: [String: RateBucket] = [:]
  var userConnections: [UInt32: Int] = [:]
  var userRequests: [UInt32: Int] = [:]
  var userChannels: [UInt32: Int] = [:]
  /// Bytes of replies that each user's channels have not read.
  var userQueues: [UInt32: Int] = [:]
  /// Channels that are to end because of that.
  var overrun: Set<UInt64> = []
  /// Associations whose records are not on disk yet: nothing is performed by them.
  var unrecorded: Set<AssociationID> = []
  var stranger: Stranger?
  var refusals: UInt64 = 0
  /// The earliest expiry that the entity holds, boottime nanoseconds.
  var nextExpiry: UInt64?

  var nextConnection: UInt64 = 1
  var nextChannel: UInt64 = 1
  var nextSession: UInt64 = 1
  var nextJob: UInt64 = 1
  var nextGrantToken: UInt64 = 1
  var nextRevoke: UInt64 = 1
  var nextRuntimeGrant: UInt64 = 1
  var nextSupervisor: UInt64 = 1
  var nextRecall: UInt64 = 1
  var isStopping = false

  /// Closed to make room for an administrator's connection and for finding out that it is one, and for a connection
  /// that is only taken to be closed.
  var reserve: [HeldDescriptor] = []

  /// Takes the socket, the journal and the policy; nothing is served before `run`.
  public init(_ configuration: BrokerConfiguration) throws(BrokerFailure) {
    self.configuration = configuration
    let read = try Broker.readPolicy(configuration)
    policy = read.model
    policyWarnings = read.warnings
    do throws(SystemError) {
      let bootText = try ProcFile.read("/proc/sys/kernel/random/boot_id", limit: 64)
      boot = BootID(text: String(decoding: bootText, as: UTF8.self)) ?? BootID(high: 0, low: 0)
      startedAt = Clock.boottime()
      signals = try SignalDescriptor([SignalNumber.terminate, SignalNumber.interrupt, SignalNumber.hangUp])
      timer = try TimerDescriptor()
      epoll = try Epoll()
      witness = try Epoll()
      processEvents = try? ProcessEvents()
      pool = try EffectPool()
      journalEvent = try EventDescriptor()
      supervision = try SupervisorQueue()
    } catch { throw .system(error) }
    do {
      let table = try SimulatedEntity()
      switch Broker.startDirect(table, configuration, read.model) {
      case .success(let entity): (direct, directObstacle, self.entity) = (entity, nil, entity)
      case .failure(let obstacle): (direct, directObstacle, entity) = (nil, obstacle, table)
      }
      inherited = InheritedNames(direct?.kernel)
      // What an earlier policy's numbers name may be held by somebody yet: they come to mean nothing else.
      nextObject = inherited.lastObject + 1
      nextApplication = inherited.lastApplication + 1
    } catch { throw .system(error) }
    switch Broker.startRings(configuration, read.model, direct?.kernel) {
    case .started(let hands):
      ringHands = consume hands
      ringObstacle = "it has not been tried yet"
    case .not(let why):
      ringHands = nil
      ringObstacle = why
    }
    opener = ObjectOpener(
      simulation: SimulatedBuses(),
      own: BrokerFiles(
        [configuration.socketPath, configuration.stateDirectory, configuration.policyFile]
          + (configuration.seccompAgent.map { [$0.path] } ?? [])))
    interpreter = Interpreter(entity: entity, pool: pool)
    journal = try Broker.openJournal(configuration, read.model.audit, boot: boot, event: journalEvent)
    // Before everything else of this broker: whoever reads the journal knows that what the one before held has ended.
    _ = journal.submit(AuditRecord(.start, time: Broker.auditTime(), boot: boot), durability: .none)
    do { revokeStore = try RevokeStore(configuration.stateDirectory) } catch { throw .system(error) }
    do {
      listener = try MessageSocket.listen(at: configuration.socketPath, mode: 0o666)
      // Connections inherit it (net/unix, unix_sock_inherit_flags), so that not even a first message comes unstamped.
      try MessageSocket.passCredentials(listener.rawValue)
    } catch { throw .socket(error) }
    do throws(SystemError) {
      agent = try configuration.seccompAgent.map { (agent) throws(SystemError) in
        try SeccompAgent(path: agent.path, keeperArguments: agent.keeperArguments)
      }
    } catch { throw .agentSocket(error) }
    try registerPolicy()
    do { try restoreRevokes() } catch { throw .system(error) }
    restoreDirect()
    refillReserve()
    do {
      try watchEverything()
    } catch { throw .system(error) }
  }

  private var eventsNumber: Int32 {
    switch processEvents {
    case .some(let events): events.descriptor.rawValue
    case .none: -1
    }
  }

  private func watchEverything() throws(SystemError) {
    try epoll.add(listener.rawValue, .readable, token: Token.listener.rawValue)
    try epoll.add(witness.descriptor.rawValue, .readable, token: Token.witness.rawValue)
    try epoll.add(pool.completions.descriptor.rawValue, .readable, token: Token.effects.rawValue)
    try epoll.add(journalEvent.descriptor.rawValue, .readable, token: Token.journal.rawValue)
    try epoll.add(revokeStore.changed.descriptor.rawValue, .readable, token: Token.revokeStore.rawValue)
    try epoll.add(supervision.event.descriptor.rawValue, .readable, token: Token.supervision.rawValue)
    try epoll.add(signals.descriptor.rawValue, .readable, token: Token.signals.rawValue)
    try epoll.add(timer.descriptor.rawValue, .readable, token: Token.timer.rawValue)
    if let direct { try epoll.add(direct.kernel.eventsNumber, .readable, token: Token.kernelEvents.rawValue) }
    if processEvents != nil { try witness.add(eventsNumber, .readable, token: Broker.eventsToken) }
    if let agent { try watch(agent) }
    switch ringHands {
    case .some(let hands): try epoll.add(hands.number, .readable, token: Token.ringHands.rawValue)
    case .none: break
    }
    try pool.start()
  }

  /// Serves until SIGTERM or SIGINT; then every association ends with it.
  public func run() throws(BrokerFailure) {
    // Not a property: it is used for every instruction, and each use of a property is tracked.
    var instructions = MessageBuffer(capacity: Bounds.instructionDatagram + 1)
    feedSinks(after: journal.lastBefore)
    do throws(SystemError) {
      while !isStopping {
        try epoll.wait(into: events, timeoutMilliseconds: -1)
        for index in 0..<events.count {
          dispatch(events[index], &instructions)
          closeOverrun()
        }
      }
    } catch { throw .system(error) }
    stop()
  }

  private func dispatch(_ event: Epoll.Event, _ instructions: inout MessageBuffer) {
    switch Token(rawValue: event.token) {
    case .channel(let id): channelReady(id, event.events, &instructions)
    case .connection(let id): connectionReady(id, event.events)
    case .session(let id): sessionReady(id, event.events)
    case .listener: acceptConnections()
    case .witness: observeProcesses()
    case .effects: effectsFinished()
    case .journal: recordsDurable()
    case .supervision: supervisorsReady()
    case .signals: handleSignals()
    case .timer: timerFired()
    case .seccompAgent: acceptRuntimes()
    case .listenerKeeper: keeperReady()
    case .runtime(let id): runtimeReady(id)
    case .kernelEvents: kernelEventsReady()
    case .ring(let id): ringReady(id)
    case .ringHands: ringHandsEnded()
    case .revokeStore: revokesStored()
    case nil: break
    }
  }

  private func handleSignals() {
    while let signal = signals.next() {
      if signal == SignalNumber.hangUp {
        _ = reload(by: nil)
      } else {
        isStopping = true
      }
    }
  }

  private func stop() {
    try? Confinement.notify("STOPPING=1")
    for supervisor in supervisors.values { supervisor.stop() }
    kernelEventsReady()
    _ = journal.submit(record(.stop), durability: .none)
    pool.stop()
    revokeStore.stop()
    journal.stop()
    stopSinks()
    try? removeFile(at: configuration.socketPath)
    if let agent { try? removeFile(at: agent.path) }
  }

  private static func openJournal(
    _ configuration: BrokerConfiguration, _ settings: AuditSettings, boot: BootID, event: borrowing EventDescriptor
  ) throws(BrokerFailure) -> Journal {
    let signal: EventDescriptor
    do { signal = try event.duplicate() } catch { throw .system(error) }
    let held = EventSignal(signal)
    do {
      return try Journal(
        JournalConfiguration(
          directory: configuration.stateDirectory, boot: boot, segmentSize: settings.limits.segmentSize,
          retention: settings.limits.retention, redaction: settings.redact),
        now: { Broker.auditTime() }, onDurable: { _ in held.signal() })
    } catch { throw .journal(error) }
  }

  func record(_ kind: AuditKind) -> AuditRecord { AuditRecord(kind, time: Broker.auditTime(), boot: boot) }

  static func auditTime() -> AuditTime { AuditTime(wall: Clock.wall(), boottime: Clock.boottime()) }

  static let eventsToken: UInt64 = .max
}

extension AuditSettings {
  /// What of it the journal takes over at a reload.
  var limits: JournalLimits { JournalLimits(segmentSize: segment, retention: retention &* 1_000_000_000) }
}

/// Why a broker cannot start or go on.
public enum BrokerFailure: Error, Sendable {
  case system(SystemError)
  /// The control socket: somebody answers there already, or it cannot be made.
  case socket(SystemError)
  /// The socket that container runtimes send seccomp listeners to, or the process that keeps them.
  case agentSocket(SystemError)
  case policyFile(SystemError)
  case policy(PolicyMistakes)
  case journal(JournalError)
}

/// Signals that the daemon reads; asm-generic numbers (signal(7)).
enum SignalNumber {
  static let hangUp: Int32 = 1
  static let interrupt: Int32 = 2
  static let kill: Int32 = 9
  static let terminate: Int32 = 15
}

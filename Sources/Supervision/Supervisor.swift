import Authority
import Entity
import Instructions
import Linux
import Synchronization

/// Answers the notifications of one seccomp listener, on a thread of its own.
///
/// The thread may wait for memory and file systems of the programs it serves (userfaultfd, FUSE): that holds up nobody
/// but them. It decides nothing by itself but what is about no object of the policy; every effect needs a `Grant`.
public final class Supervisor: Sendable {
  /// What is being performed: an association that is dropped meanwhile may still see it succeed.
  struct Performing: Hashable, Sendable {
    var object: ObjectID
    var process: ProcessResource
  }

  public let id: UInt64
  /// Who handed the listener over, for quotas.
  public let ownerUID: UInt32
  let listener: NotificationListener
  let ledger: NotificationLedger
  let entity: any AuthorizationEntity
  /// Where the kernel checks what the program does with its object; nil: nobody does.
  let direct: BPFEntity?
  let queue: SupervisorQueue
  let table: InterceptBoard
  let verdicts = Mutex<[(id: UInt64, verdict: SupervisedVerdict)]>([])
  let performing = Mutex<Set<Performing>>([])
  let stopping = Atomic(false)
  let wake: EventDescriptor
  private let thread = Mutex<Thread?>(nil)

  public init(
    id: UInt64, ownerUID: UInt32, listener: consuming NotificationListener, entity: any AuthorizationEntity,
    direct: BPFEntity? = nil, queue: SupervisorQueue, table: InterceptBoard
  ) throws(SystemError) {
    self.id = id
    self.ownerUID = ownerUID
    self.listener = listener
    ledger = try NotificationLedger()
    self.entity = entity
    self.direct = direct
    self.queue = queue
    self.table = table
    wake = try EventDescriptor()
  }

  /// Starts answering. Not waited for at the broker's end: a program can hold the thread up inside the kernel.
  public func start() throws(SystemError) {
    try thread.withLock { (held) throws(SystemError) in
      held = try Thread("supervisor") { [self] in
        do {
          var loop = SupervisorLoop(self)
          loop.run()
        }
        queue.post(.ended(supervisor: id))
      }
    }
  }

  /// After `ended`: waits until the thread holds this no more, since its descriptors are to be closed on another one.
  public func join() {
    let ending = thread.withLock { $0.take() }
    ending?.join()
  }

  /// Answers nothing any more; what waits is left to whoever else holds the listener.
  public func stop() {
    stopping.store(true, ordering: .releasing)
    wake.signal()
  }

  /// Whether no process uses the filter any more.
  public var hasListenerEnded: Bool { (try? listener.hasEnded) != false }

  /// What another holder of the listener needs to answer for a broker that is gone.
  public func ledgerCopy() throws(SystemError) -> Descriptor { try ledger.duplicate() }

  /// Whether the caller of a notification still waits.
  public func isWaiting(_ notification: UInt64) -> Bool { (try? listener.isValid(notification)) == true }

  /// The answer to a `judge`.
  public func resume(_ notification: UInt64, _ verdict: SupervisedVerdict) {
    verdicts.withLock { $0.append((notification, verdict)) }
    wake.signal()
  }

  /// Whether an effect for this association may still be under way.
  public func isPerforming(_ object: ObjectID, _ process: ProcessResource) -> Bool {
    performing.withLock { $0.contains(Performing(object: object, process: process)) }
  }
}

/// The table of now, for every supervisor.
public final class InterceptBoard: Sendable {
  private let table: Mutex<InterceptTable>

  public init(_ table: InterceptTable) { self.table = Mutex(table) }

  public var current: InterceptTable { table.withLock { $0 } }

  public func publish(_ new: InterceptTable) { table.withLock { $0 = new } }
}

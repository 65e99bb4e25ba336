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
  let queue: SupervisorQueue
  let table: InterceptBoard
  let verdicts = Mutex<[(id: UInt64, verdict: SupervisedVerdict)]>([])
  let performing = Mutex<Set<Performing>>([])
  let stopping = Atomic(false)
  let wake: EventDescriptor

  public init(
    id: UInt64, ownerUID: UInt32, listener: consuming NotificationListener, entity: any AuthorizationEntity,
    queue: SupervisorQueue, table: InterceptBoard
  ) throws(SystemError) {
    self.id = id
    self.ownerUID = ownerUID
    self.listener = listener
    ledger = try NotificationLedger()
    self.entity = entity
    self.queue = queue
    self.table = table
    wake = try EventDescriptor()
  }

  /// Starts answering. Not joined: a thread that a program holds up inside the kernel must not hold up the broker's end.
  public func start() throws(SystemError) {
    _ = try Thread("supervisor") { [self] in
      var loop = SupervisorLoop(self)
      loop.run()
      queue.post(.ended(supervisor: id))
    }
  }

  /// Answers nothing any more; what waits is left to whoever else holds the listener.
  public func stop() {
    stopping.store(true, ordering: .releasing)
    wake.signal()
  }

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

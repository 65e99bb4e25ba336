import Authority
import Instructions
import Linux
import Synchronization

/// The entity of `kmodule-sim`: the association table in a memory file of the broker's.
public final class SimulatedEntity: AuthorizationEntity {
  private let table: Mutex<EntityTable>
  private let published = Atomic<UInt64>(0)

  /// An empty table. Errors: what memfd_create(2) and mmap(2) give.
  public init(_ capacity: EntityTable.Capacity = EntityTable.Capacity()) throws(SystemError) {
    table = Mutex(try EntityTable(capacity))
  }

  /// The table of an earlier owner, who no longer uses it.
  public init(attaching memoryFile: borrowing Descriptor) throws(SystemError) {
    table = Mutex(try EntityTable(attaching: memoryFile))
    publish()
  }

  public var changes: UInt64 { published.load(ordering: .acquiring) }

  private func publish() {
    table.withLock { published.store($0.statistics().changes, ordering: .releasing) }
  }

  /// The table, for an entity that copies it to the kernel.
  func withTable<Value>(_ body: (borrowing EntityTable) -> Value) -> Value {
    table.withLock { table in
      let result = body(table)
      return result
    }
  }

  /// One locked change, after which caches of verdicts are told.
  private func change<Result>(_ body: (borrowing EntityTable) -> Result) -> Result {
    table.withLock { table in
      let result = body(table)
      published.store(table.statistics().changes, ordering: .releasing)
      return result
    }
  }

  private func attempt<Value>(_ body: (borrowing EntityTable) throws(SystemError) -> Value) throws(SystemError) -> Value
  {
    let outcome: Result<Value, SystemError> = change { table in
      do throws(SystemError) { return .success(try body(table)) } catch { return .failure(error) }
    }
    return try outcome.get()
  }

  /// Drops cannot fail: the only errors are malformed arguments, which the types exclude.
  private func dropping(_ body: (borrowing EntityTable) throws(SystemError) -> [EntityRecord]) -> [EntityRecord] {
    do throws(SystemError) { return try attempt(body) } catch {
      preconditionFailure("\(error)")
    }
  }

  public func addObject(_ object: ObjectRecord, generation: UInt32) throws(SystemError) -> UInt32 {
    try attempt { table throws(SystemError) in try table.add(object, generation: generation) }
  }

  public func replaceObject(_ object: ObjectRecord) throws(SystemError) -> [AssociationRecord] {
    try attempt { table throws(SystemError) in try table.replace(object) }
  }

  public func removeObject(_ object: ObjectID) throws(SystemError) -> [AssociationRecord] {
    try attempt { table throws(SystemError) in try table.remove(object) }
  }

  public func generation(of object: ObjectID) -> UInt32? {
    table.withLock { $0.generation(of: object) }
  }

  public func object(_ object: ObjectID) -> ObjectRecord? {
    table.withLock { $0.object(object) }
  }

  public func define(limits: LimitSet) throws(SystemError) -> LimitsID {
    let record = EntityLimits(limits)
    return LimitsID(rawValue: try attempt { table throws(SystemError) in try table.define(record) })
  }

  public func release(_ limits: LimitsID) {
    do throws(SystemError) {
      try attempt { table throws(SystemError) in try table.release(limits: limits.rawValue) }
    } catch {
      preconditionFailure("released twice: \(error)")
    }
  }

  public func check(_ instruction: Instruction, issuer: Issuer, now: UInt64, visible: Bool) -> Decision {
    check(instruction, issuer: issuer, now: now, visible: visible, failed: [])
  }

  /// The same, where the caller's own look-ups (who asks) may have failed.
  public func check(
    _ instruction: Instruction, issuer: Issuer, now: UInt64, visible: Bool, failed: FailedLookups
  ) -> Decision {
    let answer = table.withLock {
      $0.check(instruction, issuer: issuer, now: now, visible: visible, failed: failed.rawValue)
    }
    if let reason = answer.reason { return Decision(.refused(reason), association: answer.association) }
    let grant = Grant(
      issuer: issuer, instruction: instruction, association: answer.association,
      range: answer.range.map { ByteRange(offset: $0.offset, length: $0.length) }, generation: answer.generation,
      expiry: answer.expiry)
    return Decision(.granted(grant), association: answer.association)
  }

  public func associate(_ request: AssociationRequest, now: UInt64) throws(Refusal) -> AssociationRecord {
    let established = change { $0.associate(EntityRequest(request, now: now)) }
    return try Self.record(established, message: request.message)
  }

  public func revalidate(_ request: RevalidationRequest, now: UInt64) throws(Refusal) -> AssociationRecord {
    let established = change { table in
      var wanted = EntityRequest(request, now: now)
      wanted.ancestor = request.ancestors.first { $0 != request.process && table.has(request.object, $0) }
      return table.revalidate(wanted)
    }
    return try Self.record(established, message: request.message)
  }

  private static func record(_ established: EntityEstablished, message: String) throws(Refusal) -> AssociationRecord {
    if let reason = established.reason { throw Refusal(reason, detail: established.detail, message: message) }
    guard let record = established.record else { throw Refusal(.undecidable, message: message) }
    return record
  }

  public func drop(_ selector: AssociationSelector, as state: TombstoneState) -> [AssociationRecord] {
    dropping { table throws(SystemError) in try table.drop(selector, as: state.state) }
  }

  public func pardon(_ selector: AssociationSelector) {
    _ = dropping { table throws(SystemError) in
      try table.pardon(selector)
      return []
    }
  }

  public func expire(now: UInt64) -> (dropped: [AssociationRecord], next: UInt64?) {
    var next: UInt64?
    let dropped = dropping { table throws(SystemError) in
      let result = try table.expire(now: now)
      next = result.next
      return result.dropped
    }
    return (dropped, next)
  }

  public func exit(_ process: ProcessResource, keepEvidence: Bool) -> [AssociationRecord] {
    dropping { table throws(SystemError) in try table.exit(process, keepEvidence: keepEvidence) }
  }

  public func exec(
    _ process: ProcessResource, newEpoch: UInt32, keep: [AssociationID], keepEvidence: Bool
  ) -> [AssociationRecord] {
    precondition(newEpoch != process.execEpoch, "an exec changes the epoch")
    return dropping { table throws(SystemError) in
      try table.exec(process, newEpoch: newEpoch, keep: keep, keepEvidence: keepEvidence)
    }
  }

  public func associations(_ selector: AssociationSelector, after cursor: AssociationCursor?, limit: Int)
    -> (records: [AssociationRecord], next: AssociationCursor?)
  {
    var next: UInt32?
    let records = dropping { table throws(SystemError) in
      let result = try table.list(selector, cursor: cursor?.slot ?? 0, limit: limit)
      next = result.next
      return result.records
    }
    return (records, next.map(AssociationCursor.init(slot:)))
  }

  public func record(for object: ObjectID, process: ProcessResource) -> AssociationRecord? {
    table.withLock { $0.record(object, process) }
  }

  public func count(of application: ApplicationID) -> ApplicationCount {
    let (processes, live) = table.withLock { $0.count(application) }
    return ApplicationCount(processes: processes, live: live)
  }

  public func statistics() -> EntityStatistics { table.withLock { $0.statistics() } }

  /// 0, or the number of an invariant of the table that does not hold. Walks everything: for tests.
  public func validate() -> Int32 { table.withLock { $0.validate() } }

  /// A second descriptor of the table's memory file, to hand to whoever shall keep it.
  public func memoryFile() throws(SystemError) -> Descriptor {
    var copy: Descriptor?
    var failure: SystemError?
    table.withLock { table in
      do throws(SystemError) { copy = try table.memoryFile() } catch { failure = error }
    }
    if let descriptor = copy.take() { return descriptor }
    throw failure ?? SystemError(errno: 9, operation: "fcntl(F_DUPFD_CLOEXEC)")
  }
}

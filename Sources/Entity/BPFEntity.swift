import Authority
import Instructions
import Linux
import Synchronization

/// The entity whose associations of the path direct the kernel itself checks.
///
/// The table is that of `SimulatedEntity`, and decides about opens and revalidations. What it holds for the path direct is
/// written to the kernel's maps in the same step; less authority reaches the kernel before the call returns, and more
/// authority that cannot be written is withdrawn. What hooks have made by themselves (`on-fork: inherit`, `on-exec: keep`)
/// the owner takes over with `revalidate`.
public final class BPFEntity: AuthorizationEntity {
  /// Which associations the kernel is to have.
  public enum Scope: Sendable {
    case direct
    /// For conformance: of every path, and the kernel's answer is the verdict.
    case everything
  }

  /// How the kernel names a process.
  public typealias Identify = @Sendable (ProcessResource) throws(SystemError) -> ProcessResource

  let simulated: SimulatedEntity
  public let kernel: DirectKernel
  let scope: Scope
  let identify: Identify
  let projections: Mutex<Projections>

  public init(
    _ table: SimulatedEntity, kernel: DirectKernel, scope: Scope = .direct, identify: @escaping Identify
  ) {
    simulated = table
    self.kernel = kernel
    self.scope = scope
    self.identify = identify
    projections = Mutex(Projections(kernel))
  }

  public var changes: UInt64 { simulated.changes }

  // MARK: Objects and limits

  public func addObject(_ object: ObjectRecord, generation: UInt32) throws(SystemError) -> UInt32 {
    let made = try simulated.addObject(object, generation: generation)
    do throws(SystemError) { try writeObject(object.id) } catch {
      _ = try? simulated.removeObject(object.id)
      throw error
    }
    return made
  }

  public func replaceObject(_ object: ObjectRecord) throws(SystemError) -> [AssociationRecord] {
    let dropped = try simulated.replaceObject(object)
    // The next generation alone makes every older association stale.
    try writeObject(object.id)
    refresh { $0.object == object.id }
    return dropped
  }

  public func removeObject(_ object: ObjectID) throws(SystemError) -> [AssociationRecord] {
    let dropped = try simulated.removeObject(object)
    try writeObject(object)
    refresh { $0.object == object }
    return dropped
  }

  private func writeObject(_ object: ObjectID) throws(SystemError) {
    let result = simulated.withTable { table in
      Result { () throws(SystemError) in try kernel.project(object, of: table) }
    }
    try result.get()
  }

  public func object(_ object: ObjectID) -> ObjectRecord? { simulated.object(object) }
  public func generation(of object: ObjectID) -> UInt32? { simulated.generation(of: object) }
  public func define(limits: LimitSet) throws(SystemError) -> LimitsID { try simulated.define(limits: limits) }
  public func release(_ limits: LimitsID) { simulated.release(limits) }

  // MARK: Checks

  public func check(_ instruction: Instruction, issuer: Issuer, now: UInt64, visible: Bool) -> Decision {
    let decision = simulated.check(instruction, issuer: issuer, now: now, visible: visible)
    guard scope == .everything, visible, case .process(let process) = issuer else { return decision }
    let named = projections.withLock { $0.name(of: process) } ?? process
    let answer: Reason?
    do { answer = try kernel.ask(instruction, process: named, now: now) } catch {
      return Decision(.refused(.undecidable), association: nil)
    }
    guard let answer else { return decision }
    return Decision(.refused(answer), association: decision.association)
  }

  // MARK: Making associations

  public func associate(_ request: AssociationRequest, now: UInt64) throws(Refusal) -> AssociationRecord {
    let record = try simulated.associate(request, now: now)
    try write(record, request.options, message: request.message)
    return record
  }

  public func revalidate(_ request: RevalidationRequest, now: UInt64) throws(Refusal) -> AssociationRecord {
    let record = try simulated.revalidate(request, now: now)
    try write(record, request.options, message: request.message)
    return record
  }

  /// A granted association that the kernel cannot have is none.
  private func write(_ record: AssociationRecord, _ options: DirectOptions, message: String) throws(Refusal) {
    guard scope == .everything || record.path == .direct else { return }
    do throws(SystemError) {
      let known = projections.withLock { $0.nameToWrite(record.process) }
      let named = if let known { known } else { try identify(record.process) }
      try projections.withLock { (held: inout Projections) throws(SystemError) in
        try held.name(record.process, named)
        try write(Projections.Key(record), options, &held)
      }
    } catch {
      _ = simulated.drop(AssociationSelector(association: record.id), as: .dropped)
      refresh([Projections.Key(record)])
      projections.withLock { $0.forgetIfUnused(record.process) }
      throw Refusal(.undecidable, message: message)
    }
  }

  /// What the table has of it by now: whoever changes it in between waits for this, and then writes what it has done.
  private func write(
    _ key: Projections.Key, _ options: DirectOptions?, _ held: inout Projections
  ) throws(SystemError) {
    guard let named = held.name(of: key.process) else { return }
    let options = options ?? held.places[key]?.options ?? []
    let result = simulated.withTable { table in
      Result { () throws(SystemError) in try table.projection(of: key.object, key.process, as: named, options) }
    }
    guard let wanted = try result.get() else {
      held.remove(key, from: kernel)
      return held.forgetIfUnused(key.process)
    }
    try held.write(key, wanted, options, to: kernel)
    kernel.forgetBound(key.object, named)
  }

  // MARK: Ending associations

  public func drop(_ selector: AssociationSelector, as state: TombstoneState) -> [AssociationRecord] {
    let keys = keys(selector)
    let dropped = simulated.drop(selector, as: state)
    refresh(keys)
    return dropped
  }

  public func pardon(_ selector: AssociationSelector) {
    let keys = keys(selector)
    simulated.pardon(selector)
    refresh(keys)
    projections.withLock { $0.pardon(selector, in: kernel) }
  }

  public func expire(now: UInt64) -> (dropped: [AssociationRecord], next: UInt64?) {
    let result = simulated.expire(now: now)
    refresh(Set(result.dropped.map(Projections.Key.init)))
    return result
  }

  public func exit(_ process: ProcessResource, keepEvidence: Bool) -> [AssociationRecord] {
    let keys = projections.withLock { $0.keys(of: process) }
    let dropped = simulated.exit(process, keepEvidence: keepEvidence)
    refresh(Set(keys))
    projections.withLock { held in
      if !keepEvidence { held.forgetForeign(of: process, in: kernel) }
      held.forgetIfUnused(process)
    }
    return dropped
  }

  public func exec(
    _ process: ProcessResource, newEpoch: UInt32, keep: [AssociationID], keepEvidence: Bool
  ) -> [AssociationRecord] {
    let before = projections.withLock { $0.keys(of: process) }
    var dropped = simulated.exec(process, newEpoch: newEpoch, keep: keep, keepEvidence: keepEvidence)
    let after = ProcessResource(tgid: process.tgid, start: process.start, execEpoch: newEpoch)
    dropped += carry(before, to: after)
    refresh(Set(before))
    projections.withLock { $0.forgetIfUnused(process) }
    return dropped
  }

  /// What goes on under the process's next name; what the kernel cannot have of it does not, and is returned.
  private func carry(_ keys: [Projections.Key], to process: ProcessResource) -> [AssociationRecord] {
    let kept = keys.filter { simulated.record(for: $0.object, process: process) != nil }
    guard !kept.isEmpty else { return [] }
    let named = projections.withLock { $0.nameToWrite(process) } ?? (try? identify(process))
    var dropped: [AssociationRecord] = []
    for key in kept {
      let new = Projections.Key(object: key.object, process: process)
      do throws(SystemError) {
        guard let named else { throw SystemError(errno: ErrorCode.noSuchProcess, operation: "carry") }
        try projections.withLock { (held: inout Projections) throws(SystemError) in
          try held.name(process, named)
          try write(new, held.places[key]?.options, &held)
        }
      } catch {
        guard let lost = simulated.record(for: new.object, process: process) else { continue }
        dropped += simulated.drop(AssociationSelector(association: lost.id), as: .dropped)
        refresh([new])
      }
    }
    return dropped
  }

  /// The projected ones that a selector names.
  private func keys(_ selector: AssociationSelector) -> Set<Projections.Key> {
    if let process = selector.process { return Set(projections.withLock { $0.keys(of: process) }) }
    guard projections.withLock({ !$0.places.isEmpty }) else { return [] }
    var found: Set<Projections.Key> = []
    var cursor: AssociationCursor?
    repeat {
      let page = simulated.associations(selector, after: cursor, limit: 256)
      for record in page.records { found.insert(Projections.Key(record)) }
      cursor = page.next
    } while cursor != nil
    return found
  }

  func refresh(_ keys: Set<Projections.Key>) {
    projections.withLock { held in
      for key in keys where held.places[key] != nil { update(key, &held) }
    }
  }

  private func refresh(where isConcerned: (Projections.Key) -> Bool) {
    projections.withLock { held in
      for key in held.places.keys.filter(isConcerned) { update(key, &held) }
    }
  }

  /// Only ever takes authority away or leaves it: a record that cannot be changed is removed.
  private func update(_ key: Projections.Key, _ held: inout Projections) {
    do throws(SystemError) { try write(key, nil, &held) } catch { held.remove(key, from: kernel) }
  }

  // MARK: Looking

  public func associations(_ selector: AssociationSelector, after cursor: AssociationCursor?, limit: Int)
    -> (records: [AssociationRecord], next: AssociationCursor?)
  { simulated.associations(selector, after: cursor, limit: limit) }

  public func record(for object: ObjectID, process: ProcessResource) -> AssociationRecord? {
    simulated.record(for: object, process: process)
  }

  public func count(of application: ApplicationID) -> ApplicationCount { simulated.count(of: application) }
  public func statistics() -> EntityStatistics { simulated.statistics() }
}

import Authority
import Instructions
import Linux
import Synchronization

extension BPFEntity {
  /// The number under which the kernel has an association: what a tag tries first.
  public func kernelNumber(of record: AssociationRecord) -> UInt32? {
    projections.withLock { $0.places[Projections.Key(record)]?.number }
  }

  /// Makes a descriptor the object that `process` has an association of this path for; of another path: nothing to do.
  ///
  /// Errors: EINVAL where it cannot be tagged, EACCES where there is no association.
  ///
  /// - Parameter isOwn: it is the process's own, which nobody else is lent.
  public func tag(
    _ descriptor: borrowing Descriptor, _ object: ObjectID, _ process: ProcessResource, isOwn: Bool = false
  ) throws(SystemError) {
    guard let record = simulated.record(for: object, process: process), record.state == .live else {
      throw SystemError(errno: ErrorCode.accessDenied, operation: "tag")
    }
    guard record.path == .direct else { return }
    guard let place = projections.withLock({ $0.places[Projections.Key(record)] }) else {
      throw SystemError(errno: ErrorCode.accessDenied, operation: "tag")
    }
    try kernel.tag(
      descriptor, object: object, owner: place.number, recallsAccepted: place.options.contains(.recallsAccepted),
      isOwn: isOwn)
  }

  /// What `process` is to have after its exec, and may not use before: the kernel makes the association then.
  public func promise(
    _ object: ObjectID, _ process: ProcessResource, application: ApplicationID, operations: OperationSet,
    limits: LimitsID, generation: UInt32, options: DirectOptions, now: UInt64
  ) throws(SystemError) {
    let set = limits.rawValue == 0 ? nil : simulated.withTable { table in table.directLimits(limits.rawValue) }
    guard limits.rawValue == 0 || set != nil else {
      throw SystemError(errno: ErrorCode.noSuchEntry, operation: "kernel limits")
    }
    let named = try identify(process)
    try projections.withLock { (held: inout Projections) throws(SystemError) in
      try held.name(process, named)
      try held.promise(Projections.Key(object: object, process: process), set, in: kernel) {
        (number, limits) throws(SystemError) in
        try kernel.promise(
          object, named, application: application, operations: operations, generation: generation, limits: limits,
          options: options, since: now, number: number)
      }
    }
  }

  /// A promise is kept, or is not to be.
  public func forgetPromise(_ object: ObjectID, _ process: ProcessResource) {
    projections.withLock { held in
      held.unbury(Projections.Key(object: object, process: process), in: kernel)
      held.forgetIfUnused(process)
    }
  }

  /// Whatever `process` gets until `body` has ended is for the program image that the kernel names so now.
  ///
  /// Read before the process is looked at and judged: what it execs after that has a name that nothing is written under.
  public func expecting<Value: ~Copyable>(
    _ process: ProcessResource, _ pidfd: borrowing Descriptor, _ body: () -> Value
  ) -> Value {
    let named = try? kernel.identity(pidfd)
    projections.withLock { $0.expect(process, named) }
    defer { projections.withLock { $0.expect(process, nil) } }
    return body()
  }

  /// The kernel's name of a process that has associations of this path.
  public func kernelName(of process: ProcessResource) -> ProcessResource? {
    projections.withLock { $0.name(of: process) }
  }

  /// The table's name of a process that the kernel has named; one without associations is named by its start alone.
  public func process(named kernel: ProcessResource) -> ProcessResource {
    projections.withLock { $0.process(named: kernel) } ?? BPFEntity.unknown(kernel)
  }

  /// The table's name of a process that has something under this name of the kernel's; nil: none has.
  public func holder(named kernel: ProcessResource) -> ProcessResource? {
    projections.withLock { $0.process(named: kernel) }
  }

  /// The start in clock ticks (USER_HZ is 100 on every architecture that Linux has left), as proc(5) tells it.
  public static func unknown(_ kernel: ProcessResource) -> ProcessResource {
    ProcessResource(tgid: kernel.tgid, start: kernel.start / 10_000_000)
  }

  /// An association that a hook has made is not to be: its process is told `not-associated`, and no hook makes it again.
  public func refuse(bound found: DirectRecord, of process: ProcessResource) {
    bury(found, of: process, as: .dropped)
  }

  /// A process of which the kernel has no record is not to get what `ancestor` has of an object: it is told `revoked`, and so
  /// is whom it forks from then on. Where there is one, that speaks.
  ///
  /// - Returns: false where the kernel has no room for that.
  public func bar(
    _ object: ObjectID, _ process: ProcessResource, _ pidfd: borrowing Descriptor, _ named: ProcessResource,
    like ancestor: AssociationRecord
  ) -> Bool {
    let tombstone = DirectTombstone(
      process: named, object: object, application: ancestor.application, generation: ancestor.generation)
    guard (try? kernel.noteHolder(pidfd, named, traceable: false)) != nil else { return false }
    return projections.withLock { held in
      do throws(SystemError) { try held.name(process, named) } catch { return false }
      return held.bar(Projections.Key(object: object, process: process), tombstone, in: kernel)
    }
  }

  /// An association that an earlier broker made goes on as this request has it. Where it may not, it has ended.
  public func restore(_ found: DirectRecord, _ request: AssociationRequest, now: UInt64) throws(Refusal)
    -> AssociationRecord
  {
    let record: AssociationRecord
    do throws(Refusal) { record = try simulated.associate(request, now: now) } catch {
      end(found, of: request.process, as: .dropped)
      throw error
    }
    let key = Projections.Key(record)
    let isAdopted = projections.withLock { held in
      guard (try? held.name(record.process, found.record.process)) != nil,
        held.adopt(key, found, request.options)
      else {
        held.forget(found, from: kernel)
        return false
      }
      return true
    }
    if isAdopted { refresh([key]) }
    guard isAdopted, kernelNumber(of: record) != nil else {
      _ = simulated.drop(AssociationSelector(association: record.id), as: .dropped)
      refresh([key])
      throw Refusal(.undecidable, message: request.message)
    }
    return record
  }

  /// An association, or a tombstone, of an earlier broker that is not to go on; its process is told so while it lives.
  public func end(_ found: DirectRecord, of process: ProcessResource, as state: AssociationState) {
    bury(found, of: process, as: state)
  }

  private func bury(_ found: DirectRecord, of process: ProcessResource, as state: AssociationState) {
    projections.withLock { held in
      try? held.name(process, found.record.process)
      held.bury(Projections.Key(object: found.record.object, process: process), found, as: state, in: kernel)
      held.forgetIfUnused(process)
    }
  }

  /// What is left of a process that has ended.
  public func forget(_ found: DirectRecord) {
    projections.withLock { $0.forget(found, from: kernel) }
  }

  /// A process has ended: tombstones that only the kernel has go, but for revokes that its descendants are to find.
  public func forgetTombstones(of tgid: UInt32, hasDescendants: Bool) {
    projections.withLock { held in
      for process in held.foreigners(tgid) {
        held.forgetForeign(of: process, in: kernel, keepRevoked: hasDescendants)
        held.forgetIfUnused(process)
      }
    }
  }
}

import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation

/// Revokes stand until `grant` or `reload`, whatever becomes of the broker: each has its record in the state directory before
/// it is answered.
extension Broker {
  /// What was revoked while an earlier broker lived is revoked; what cannot be read is everything.
  func restoreRevokes() throws(SystemError) {
    do {
      authority = RuntimeAuthority(revokes: try readRevokes())
    } catch {
      let text = "\(configuration.stateDirectory)/\(RevokeStore.name) cannot be read: \(error)"
      let consequence = "everything counts as revoked until postern reload, or a grant of it"
      report(["posternd: \(text): \(consequence)"])
      var denied = record(.privileged)
      denied.message = ByteString("\(text): \(consequence)")
      _ = journal.submit(denied, durability: .none)
      authority = RuntimeAuthority(revokes: [StandingRevoke(id: 0)])
    }
    nextRevoke = UInt64(authority.revokes.count) + 1
    let named = authority.revokes.flatMap { $0.processes ?? [] }
    for process in named { tree.revoked(process) }
    // Forks since the events were asked for come after this.
    if !named.isEmpty {
      let running = runningProcesses()
      seedTree(running)
      noteRevokedLines(running)
    }
    try revokeStore.start()
    if !authority.revokes.isEmpty { storeRevokes() }
  }

  private func readRevokes() throws -> [StandingRevoke] {
    guard let bytes = try revokeStore.read() else { return [] }
    let file = try RevokeFile(bytes)
    return file.revokes.compactMap { revoke in
      guard let processes = revoke.processes else { return revoke }
      var left = revoke
      // No process outlives its machine, and a number that was given again names another one.
      left.processes = file.boot == boot ? processes.filter(mayLive) : []
      return left.processes?.isEmpty == true ? nil : left
    }
  }

  /// Whatever cannot be looked at may.
  private func mayLive(_ process: ProcessResource) -> Bool {
    do throws(SystemError) {
      return try ProcessPin.startTime(of: Int32(bitPattern: process.tgid)) == process.start
    } catch {
      return error.errno != ErrorCode.noSuchEntry && error.errno != ErrorCode.noSuchProcess
    }
  }

  /// Has what revokes block written to the state directory.
  ///
  /// - Returns: a number to ask the store with.
  @discardableResult func storeRevokes() -> UInt64 {
    revokeStore.put(RevokeFile(boot: boot, revokes: authority.revokes.map(whole)))
  }

  /// With everybody who is known to descend from whom it names.
  private func whole(_ revoke: StandingRevoke) -> StandingRevoke {
    guard let processes = revoke.processes else { return revoke }
    let named = Set(processes.map(\.anyImage))
    var whole = revoke
    for (pid, process) in revokedLines where !named.contains(process) {
      if tree.revokedAncestors(of: pid).contains(where: named.contains) { whole.processes?.append(process) }
    }
    return whole
  }

  /// A process that a revoke names, or one that descends from it, has forked: another broker could not find the child by its
  /// parents once those have ended.
  ///
  /// - Returns: whether the child has to be noted.
  func noteRevokedLine(_ child: Int32) -> Bool {
    guard !tree.revokedAncestors(of: child).isEmpty, authority.revokes.contains(where: { $0.processes != nil }),
      let start = try? ProcessPin.startTime(of: child)
    else { return false }
    revokedLines[child] = ProcessResource(tgid: UInt32(bitPattern: child), start: start)
    return true
  }

  /// The same of those that were found to descend from one before anybody watched.
  func noteRevokedLines(_ running: [RunningProcess]) {
    for process in running where !tree.revokedAncestors(of: process.pid).isEmpty {
      revokedLines[process.pid] = ProcessResource(tgid: UInt32(bitPattern: process.pid), start: process.start)
    }
  }

  /// Somebody whom a revoke names, or who descends from one, has been forked or found.
  func barNamed(_ process: ProcessResource) {
    let ancestors = tree.revokedAncestors(of: Int32(bitPattern: process.tgid))
    for revoke in authority.revokes {
      let named = Set((revoke.processes ?? []).map(\.anyImage))
      guard ancestors.contains(where: named.contains) else { continue }
      ended(bar([process], by: revoke), cause: .revoke, reason: .revoked)
    }
  }

  /// Whom a revoke names, and of whom the kernel has no record, would get an association from a hook at its first use
  /// (`on-fork: inherit`), which cannot ask: a tombstone speaks before whatever an ancestor has, to its children as well.
  ///
  /// - Returns: what ancestors had, who had to lose it because the kernel has no room for a tombstone.
  func bar(_ processes: [ProcessResource], by revoke: StandingRevoke) -> [AssociationRecord] {
    guard let direct, mayBeInherited else { return [] }
    var dropped: [AssociationRecord] = []
    for process in processes {
      guard let pin = try? ProcessPin(pid: Int32(bitPattern: process.tgid)), pin.start == process.start,
        let named = try? direct.kernel.identity(pin.pidfd), let ancestors = try? direct.kernel.ancestors(pin.pidfd),
        !ancestors.isEmpty
      else { continue }
      for object in objects.values where revoke.object == nil || revoke.object == object.definition.name {
        guard let ancestor = inheritance(of: object.id, from: ancestors, direct),
          revoke.application == nil || revoke.application == applicationNames[ancestor.application]
        else { continue }
        if !direct.bar(object.id, process, pin.pidfd, named, like: ancestor) {
          dropped += entity.drop(AssociationSelector(object: object.id, process: ancestor.process), as: .revoked)
        }
      }
    }
    return dropped
  }

  /// Most often there is nothing of that kind, and nobody has to be looked at.
  private var mayBeInherited: Bool {
    !departedHolders.isEmpty
      || associationOwners.values.contains { $0.authorization.path == .direct && $0.authorization.onFork == .inherit }
  }

  /// The association that speaks for who descends from these, nearest first, where it lets a hook make another.
  private func inheritance(
    of object: ObjectID, from ancestors: [DirectKernel.Ancestor], _ direct: BPFEntity
  ) -> AssociationRecord? {
    for ancestor in ancestors {
      guard let process = direct.holder(named: ancestor.process),
        let record = entity.record(for: object, process: process)
      else { continue }
      return record.path == .direct && record.state != .dropped && record.state != .revoked ? record : nil
    }
    return nil
  }

  /// Something of the store's was written, or could not be.
  func revokesStored() {
    revokeStore.changed.drain()
    settleRevokes()
  }
}

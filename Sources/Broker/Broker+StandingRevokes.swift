import Audit
import Authority
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
    if !named.isEmpty { seedTree(runningProcesses()) }
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
    let revokes = authority.revokes.map { revoke in
      guard let processes = revoke.processes else { return revoke }
      let named = Set(processes)
      var whole = revoke
      for (pid, process) in revokedLines where !named.contains(process) {
        if tree.revokedAncestors(of: pid).contains(where: named.contains) { whole.processes?.append(process) }
      }
      return whole
    }
    return revokeStore.put(RevokeFile(boot: boot, revokes: revokes))
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

  /// Something of the store's was written, or could not be.
  func revokesStored() {
    revokeStore.changed.drain()
    settleRevokes()
  }
}

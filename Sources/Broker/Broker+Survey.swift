import Audit
import Authority
import Entity
import Instructions
import Linux
import Supervision

extension Broker {
  /// How much of the journal is looked at: an earlier broker's last day, not its life.
  private static let span = 65536

  /// Finds out what an earlier broker of this boot had handed over, so that it is listed and can be taken back.
  ///
  /// On a thread of its own: a broker is ready before the journal has been read. Nothing is handed over by it; the
  /// processes have what they have.
  func surveyHandedOver() {
    guard policy.grants.contains(where: \.handover) else { return }
    publishInterceptTable()
    let (directory, boot, queue, board) = (configuration.stateDirectory, boot, supervision, interceptBoard)
    let began = startedAt
    _ = try? Thread("survey") {
      let holders = Self.handedOver(before: began, directory: directory, boot: boot)
      let found = Survey.holding(holders, board.current)
      if !found.isEmpty { queue.post(.found(found)) }
    }
  }

  /// Who was given what and has not ended, as the journal of this boot says.
  private static func handedOver(before began: UInt64, directory: String, boot: BootID) -> [Survey.Holder] {
    guard let items = try? JournalReader.newest(span, directory: directory) else { return [] }
    var holders: [Survey.Holder: Bool] = [:]
    for case .record(let record) in items
    where record.time.boottime < began && record.boot == boot && record.path == .handover {
      guard let object = record.object, let pid = record.pid, let start = record.processStart else { continue }
      let name = String(decoding: object.bytes, as: UTF8.self)
      let holder = Survey.Holder(object: name, process: Int32(bitPattern: pid), start: start)
      switch record.kind {
      case .grant, .revalidate, .intent: holders[holder] = true
      // What could not be taken back is still held, and may not come to be granted by a restart.
      case .drop, .revoke: holders[holder] = record.cause == .exit ? nil : false
      default: break
      }
    }
    return holders.map { holder, mayBeAssociated in
      var holder = holder
      holder.mayBeAssociated = mayBeAssociated
      return holder
    }
  }

  /// They hold it still: each gets an association, if the policy of now gives it one, and is kept in mind if not.
  func found(_ holders: [Survey.Holder]) {
    observeProcesses()
    for holder in holders {
      guard let id = objectIDs[holder.object], let object = objects[id], let asker = pinned(holder.process),
        asker.subject.process.start == holder.start, entity.record(for: id, process: asker.subject.process) == nil
      else { continue }
      let subject = asker.subject
      let executablePath = asker.executablePath
      let asked = OpenRequest(
        subject: subject, object: holder.object, door: .run, ancestors: ancestors(of: holder.process))
      guard holder.mayBeAssociated,
        case .authorized(let authorization) = policy.judge(open: asked, authority: authority, facts: handoverFacts()),
        case .held(let association) = hold(object, authorization, for: subject)
      else {
        noteFormerHolder(id, "", subject.process)
        continue
      }
      let entry = processEntry(subject, executablePath, asker.takePin())
      hold(association, by: entry, authorization, channel: nil, uid: subject.effectiveUID ?? .max)
      _ = journalHandover(.grant, association, entry, authorization)
    }
  }
}

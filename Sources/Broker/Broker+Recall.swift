import Audit
import Authority
import Entity
import Instructions
import Linux
import Supervision
import Wire

/// A process that has an object's own descriptor and no association: it was given the object for its exec and has not
/// run it yet, it has execed since, or it was forked beyond its application's quota. It is found at a revoke all the same.
struct FormerHolder {
  var object: ObjectID
  /// handover, ring, or direct: what a hook had made for it was taken back, and it may be in a call that had passed before.
  var path: OperationPath
  var application: String
  var process: ProcessResource
  var killsStuck: Bool
  /// What it had of the path direct allowed it to map the object.
  var mayBeMapped = false
}

/// A recall that runs on a thread of its own.
struct RunningRecall {
  /// nil: nobody waits for it.
  var revoke: UInt64?
  var targets: [Recall.Target]
}

extension Broker {
  /// What has to be looked for because these associations have ended.
  func recallTargets(_ records: [AssociationRecord]) -> [Recall.Target] {
    records.filter { $0.path == .handover || $0.path == .direct }.compactMap { record in
      guard let object = objects[record.object] else { return nil }
      let application = applicationNames[record.application] ?? ""
      return target(
        record.id, object, record.process, path: record.path,
        killsStuck: killsStuck(application: application, object.definition.name),
        mayBeMapped: associationOwners[record.id]?.authorization.rule.mmap ?? true)
    }
  }

  /// The same for those that hold without an association.
  func recallTargets(formerly selected: (FormerHolder) -> Bool) -> [Recall.Target] {
    // Only of these: one refused child after the other comes here, each of which may stay a former holder.
    formerHolders.removeAll { selected($0) && hasEnded($0) }
    return formerHolders.filter(selected).compactMap { former in
      objects[former.object].flatMap {
        target(
          AssociationID(rawValue: 0), $0, former.process, path: former.path, killsStuck: former.killsStuck,
          mayBeMapped: former.mayBeMapped)
      }
    }
  }

  private func target(
    _ association: AssociationID, _ object: BrokeredObject, _ holder: ProcessResource, path: OperationPath,
    killsStuck: Bool, mayBeMapped: Bool
  ) -> Recall.Target {
    if path == .direct {
      var target = Recall.Target(
        association: association, object: object.id, definition: object.definition, path: path, network: nil,
        holder: holder, processes: [], killsStuck: killsStuck)
      target.mayBeMapped = mayBeMapped
      return target
    }
    var network: UInt64?
    if case .socket(let socket) = object.definition.specification {
      switch socket.network {
      case .host: network = try? SocketDescription.networkCookie(namespacePath: nil)
      case .path(let path): network = try? SocketDescription.networkCookie(namespacePath: path)
      }
    }
    return Recall.Target(
      association: association, object: object.id, definition: object.definition, path: path, network: network,
      holder: holder,
      processes: possibleHolders(below: Int32(bitPattern: holder.tgid)), killsStuck: killsStuck)
  }

  func killsStuck(application: String, _ object: String) -> Bool {
    policy.grants.contains { $0.application == application && $0.object == object && $0.killOnStuckRevoke }
  }

  /// The holder and everything that may have its descriptors.
  private func possibleHolders(below pid: Int32) -> [Int32] {
    let known = descendants(of: pid).map { Int32(bitPattern: $0.tgid) }
    guard processEvents == nil else { return known }
    // Descent is not known here: whoever is of the same user could have it.
    guard let uid = ProcessFacts.effectiveUID(of: pid) ?? processes[pid]?.subject.effectiveUID else { return known }
    let all = (try? ProcessDescriptors.processes()) ?? []
    return known + all.filter { !known.contains($0) && ProcessFacts.effectiveUID(of: $0) == uid }
  }

  /// Starts to take back what was handed over.
  ///
  /// - Parameter deadline: boottime nanoseconds.
  /// - Returns: its number, or nil where there is nothing to look for.
  func startRecall(_ targets: [Recall.Target], deadline: UInt64, for revoke: UInt64? = nil) -> UInt64? {
    guard !targets.isEmpty else { return nil }
    let number = nextRecall
    nextRecall += 1
    let queue = supervision
    runningRecalls[number] = RunningRecall(revoke: revoke, targets: targets)
    do throws(SystemError) {
      try Recall.start(
        targets, supervisors: Array(supervisors.values), deadline: deadline,
        done: { queue.post(.recalled(number, $0)) }, late: { queue.post(.recalledLate($0, $1)) })
    } catch {
      queue.post(.recalled(number, targets.map { _ in .cannotRecall("no thread to look for it: \(error)") }))
    }
    return number
  }

  func recalled(_ number: UInt64, _ outcomes: [Recall.Outcome]) {
    guard let running = runningRecalls.removeValue(forKey: number) else { return }
    for (target, outcome) in zip(running.targets, outcomes) { recalled(target, outcome) }
    for index in pendingRevokes.indices where pendingRevokes[index].recall == number {
      pendingRevokes[index].recalled = outcomes
    }
    settleRevokes()
  }

  func recalled(_ target: Recall.Target, _ outcome: Recall.Outcome) {
    switch outcome {
    case .recalled: formerHolders.removeAll { $0.object == target.object && $0.process == target.holder }
    case .cannotRecall(let why):
      var failed = record(.privileged)
      failed.describe(target.holder)
      failed.object = ByteString(target.definition.name)
      failed.path = target.path
      failed.message = ByteString("cannot recall: \(why)")
      _ = journal.submit(failed, durability: .none)
    case .running: break
    }
  }

  /// Associations on the path handover have ended for another reason than a revoke, which waits for its recall itself.
  func handedOverEnded(_ records: [AssociationRecord], cause: DropCause) {
    let handed = records.filter { $0.path == .handover || $0.path == .direct }
    guard !handed.isEmpty else { return }
    switch cause {
    case .exit, .revoke, .closed: break
    case .exec:
      // The kernel lets the descriptor live through an exec; taking a socket back would take it from everybody who
      // shares it. It is looked for at the next revoke.
      for record in handed where record.path == .handover {
        let application = applicationNames[record.application] ?? ""
        noteFormerHolder(record.object, application, record.process)
      }
    case .expiry, .reload, .replaced:
      _ = startRecall(recallTargets(handed), deadline: Clock.boottime() + 1_000_000_000)
    }
  }

  private func forgetEndedHolders() {
    formerHolders.removeAll(where: hasEnded)
  }

  private func hasEnded(_ former: FormerHolder) -> Bool {
    (try? ProcessPin.startTime(of: Int32(bitPattern: former.process.tgid))) != former.process.start
  }

  /// The process has ended, and with it what it had.
  func forgetHolder(_ pid: Int32) {
    guard !formerHolders.isEmpty else { return }
    formerHolders.removeAll { Int32(bitPattern: $0.process.tgid) == pid }
  }

  /// - Parameter mayBeKilled: false where nothing says that it has anything of the object.
  func noteFormerHolder(
    _ object: ObjectID, _ application: String, _ process: ProcessResource, path: OperationPath = .handover,
    mayBeMapped: Bool = false, mayBeKilled: Bool = true
  ) {
    guard let name = objects[object]?.definition.name,
      !formerHolders.contains(where: { $0.object == object && $0.process == process })
    else { return }
    // Where the kernel tells of no exits: now and then.
    if formerHolders.count >= formerHoldersBound {
      forgetEndedHolders()
      formerHoldersBound = max(64, 2 * formerHolders.count)
    }
    formerHolders.append(
      FormerHolder(
        object: object, path: path, application: application, process: process,
        killsStuck: mayBeKilled && killsStuck(application: application, name), mayBeMapped: mayBeMapped))
  }

  /// `on-fork: inherit` for what is handed over: a child of a holder gets an association of its own at once, because it
  /// has the descriptor at once and cannot ask.
  func inheritHandedOver(from parent: Int32, to child: Int32) {
    let former = formerHolders.filter { $0.path == .handover && Int32(bitPattern: $0.process.tgid) == parent }
    if !former.isEmpty {
      guard let start = try? ProcessPin.startTime(of: child) else { return }
      let process = ProcessResource(tgid: UInt32(child), start: start)
      for former in former {
        noteFormerHolder(former.object, former.application, process)
      }
    }
    guard let entry = processes[parent] else { return }
    for (objectID, id) in entry.associations {
      guard let owner = associationOwners[id], owner.authorization.path == .handover,
        let object = objects[objectID], let held = entity.record(for: objectID, process: entry.resource),
        held.state == .live
      else { continue }
      if owner.authorization.onFork == .inherit {
        inherit(held, owner, object, from: entry, to: child)
      } else if let start = try? ProcessPin.startTime(of: child) {
        // Not allowed to use it, and nobody keeps it from doing so: it has to be found when its parent has ended, too.
        noteFormerHolder(
          objectID, owner.authorization.application, ProcessResource(tgid: UInt32(child), start: start))
      }
    }
  }

  private func inherit(
    _ held: AssociationRecord, _ owner: AssociationOwner, _ object: BrokeredObject, from parent: ProcessEntry,
    to child: Int32
  ) {
    guard let asker = pinned(child) else { return }
    let subject = asker.subject
    let executablePath = asker.executablePath
    let facts = handoverFacts()
    func refuse(_ refusal: Refusal, _ cause: String, _ judged: JudgedRefusal? = nil) {
      var refused = refusalRecord(
        refusal, object: object.definition.name, cause: "\(cause); it holds the object's descriptor all the same",
        nearest: judged?.nearest, path: .handover)
      refused.application = ByteString(owner.authorization.application)
      refused.circumstances = Circumstances(
        .revalidation, held.operations, subject: subject, facts: facts, descendsFromHolder: true, refusal: judged)
      refused.describe(subject, executablePath: ByteString(executablePath))
      _ = journal.submit(refused, durability: .none)
      noteFormerHolder(object.id, owner.authorization.application, subject.process)
    }
    let asked = OpenRequest(
      subject: subject, object: object.definition.name, operations: held.operations, door: .run,
      descendsFromHolder: true, ancestors: ancestors(of: child) + [parent.resource])
    let authorization: Authorization
    switch policy.judge(
      revalidation: asked, application: owner.authorization.application, authority: authority, facts: facts)
    {
    case .refused(let refusal): return refuse(refusal.told, refusal.cause.text, refusal)
    case .authorized(let granted): authorization = granted
    }
    let now = Clock.boottime()
    let wanted = RevalidationRequest(
      process: subject.process, object: object.id, application: held.application, generation: object.generation,
      ancestors: [parent.resource], lineage: .descended, forked: Broker.forkedBy(subject.process),
      processes: authorization.processes, path: .handover, expiry: authorization.deadline(madeAt: now) ?? 0,
      message: authorization.message)
    let association: AssociationRecord
    do { association = try entity.revalidate(wanted, now: now) } catch { return refuse(error, "the entity refused") }
    let entry = processEntry(subject, executablePath, asker.takePin())
    hold(association, by: entry, authorization, channel: nil, uid: subject.effectiveUID ?? .max)
    _ = journalHandover(.revalidate, association, entry, authorization)
  }
}

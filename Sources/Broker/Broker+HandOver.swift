import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Supervision
import Wire

/// An object that was given to a process which is about to exec, and what it said it was going to run.
struct PendingHandOver {
  var number: UInt64
  var order: HandOver
  var authorization: Authorization
  var object: ObjectID
  var process: ProcessResource
  /// On the path direct what the broker has open of it, too, until the association has taken it up.
  var session: UInt64?
  var program: FileIdentity
  /// Boottime nanoseconds; by then it has to run that.
  var deadline: UInt64
}

extension Broker {
  private static let patience: UInt64 = 10_000_000_000

  /// `postern open`: the object's own descriptor, judged as if the program asked that the asker is about to run.
  ///
  /// - Parameter program: an O_PATH descriptor of that file: a claim, which the exec has to bear out.
  func handOver(
    _ order: HandOver, _ program: consuming PeerDescriptor, id: UInt64, from sender: SenderCredentials,
    on connection: ControlConnection
  ) {
    guard let asker = pinned(sender.pid), let claimed = FileIdentity(program.identity) else {
      return refuseOpen(
        connection, id, Refusal(.undecidable), object: order.object, cause: "the asker could not be looked at",
        sender: sender, path: .handover)
    }
    let subject = asker.subject
    switch judge(order, subject, program: claimed) {
    case .refused(let refusal):
      refuseOpen(
        connection, id, refusal.told, object: order.object, cause: refusal.cause.text, nearest: refusal.nearest,
        subject: subject, executablePath: asker.executablePath, sender: sender, operations: order.operations,
        path: .handover,
        judged: Circumstances(
          .run, order.operations, subject: subject, program: claimed, facts: handoverFacts(), refusal: refusal))
    case .authorized(let authorization):
      challenge(connection, id, .handOver(order, authorization, program: claimed), asker)
    }
  }

  private func judge(_ order: HandOver, _ subject: Subject, program: FileIdentity) -> Judgement {
    var subject = subject
    subject.executable = program
    let pid = Int32(bitPattern: subject.process.tgid)
    let asked = OpenRequest(
      subject: subject, object: order.object, operations: order.operations, door: .run,
      ancestors: ancestors(of: pid))
    return policy.judge(open: asked, authority: authority, facts: handoverFacts())
  }

  /// The second message: opens the object; it is given when that is on disk.
  func handOver(
    _ order: HandOver, _ authorization: Authorization, _ program: FileIdentity, _ pending: ControlConnection.Pending,
    id: UInt64, on connection: ControlConnection
  ) {
    func refuse(_ refusal: Refusal, _ cause: String) {
      refuseOpen(
        connection, id, refusal, object: order.object, cause: cause, subject: pending.subject,
        executablePath: pending.executablePath, operations: order.operations, path: .handover)
    }
    guard let objectID = objectIDs[order.object], let object = objects[objectID] else {
      return refuse(Refusal(.noSuchObject), "the object is gone")
    }
    guard case .authorized(let current) = judge(order, pending.subject, program: program), current == authorization
    else { return refuse(Refusal(.refused, detail: .selector), "the policy changed meanwhile; ask again") }
    let opened: Descriptor
    var session: UInt64?
    do throws(SystemError) {
      if authorization.path == .direct {
        opened = try openToPromise(object, authorization, pending, &session)
      } else {
        opened = try opener.openToGive(
          object.definition, operations: authorization.operations, range: authorization.limits.range)
      }
    } catch {
      object.lastFailure = error.description
      var failed = refusalRecord(
        Refusal(.refused, detail: .objectUnavailable), object: order.object, cause: error.description, nearest: nil,
        path: authorization.path)
      failed.describe(pending.subject, executablePath: ByteString(pending.executablePath))
      failed.errno = error.errno
      _ = journal.submit(failed, durability: .none)
      return answer(connection, id, .failed(Failure(errno: error.errno, text: "\(order.object): \(error)")))
    }
    var intent = record(.intent)
    intent.describe(pending.subject, executablePath: ByteString(pending.executablePath))
    intent.object = ByteString(order.object)
    intent.application = ByteString(authorization.application)
    intent.operations = authorization.operations
    intent.path = authorization.path
    intent.generation = object.generation
    intent.message = "given to be kept through an exec"
    let token = nextGrantToken
    nextGrantToken += 1
    if case .full = journal.submit(intent, durability: .required(token: token)) {
      // The object is not given, and its port is free again.
      if authorization.path == .direct { forgetPromise(objectID, pending.subject.process, session) }
      return refuse(Refusal(.undecidable, detail: .auditFull), "the audit journal is full")
    }
    let process = pending.subject.process
    pendingHandOvers[pending.pid, default: []].append(
      PendingHandOver(
        number: token, order: order, authorization: authorization, object: objectID, process: process,
        session: session, program: program, deadline: Clock.boottime() + Self.patience))
    if authorization.path == .handover { noteFormerHolder(objectID, authorization.application, process) }
    pendingGrants[token] = PendingGrant(connection: connection.id, request: id, answer: .given(token))
    clientEnds[token] = HeldDescriptor(opened)
    armTimer()
  }

  /// The intent is on disk: the object goes to the asker.
  func give(_ number: UInt64, _ grant: PendingGrant, _ opened: HeldDescriptor?, to connection: ControlConnection) {
    let given = pendingHandOvers.values.joined().first { $0.number == number }
    guard let given, let object = objects[given.object], let opened else {
      return answer(connection, grant.request, .refused(RefusedReply(Refusal(.noSuchObject))))
    }
    answer(
      connection, grant.request,
      .opened(
        Opened(
          association: AssociationID(rawValue: 0), channel: 0, object: object.id, kind: object.definition.kind,
          path: given.authorization.path, operations: given.authorization.operations, generation: object.generation,
          expiry: 0,
          rangeLength: 0, maximumPayload: 0)),
      descriptor: opened.take())
  }

  func forgetHandOver(_ number: UInt64) {
    for (pid, waiting) in pendingHandOvers {
      guard let given = waiting.first(where: { $0.number == number }) else { continue }
      pendingHandOvers[pid] = waiting.count == 1 ? nil : waiting.filter { $0.number != number }
      formerHolders.removeAll { $0.object == given.object && $0.process == given.process }
      forgetPromise(given)
    }
  }

  /// The object's own descriptor, tagged: nobody can use it before the kernel, or the broker, has made an association.
  private func openToPromise(
    _ object: BrokeredObject, _ authorization: Authorization, _ pending: ControlConnection.Pending,
    _ promised: inout UInt64?
  ) throws(SystemError) -> Descriptor {
    guard let direct else { throw SystemError(errno: ErrorCode.notSupported, operation: "open") }
    if let obstacle = attachHooks(for: object) {
      throw SystemError(errno: ErrorCode.notSupported, operation: obstacle)
    }
    let session = try self.session(for: object, authorization)
    do throws(SystemError) {
      guard mayBeDirect(session) else {
        throw SystemError(errno: ErrorCode.busy, operation: "the object is in use on the mediated path")
      }
      let opened = try descriptorToLend(of: object, session, authorization)
      if !session.isTagged {
        try direct.kernel.tag(
          opened, object: object.id, owner: 0, recallsAccepted: authorization.rule.recallAccepted)
        if session.object is SocketObject { session.isTagged = true }
      }
      if let socket = session.object as? SocketObject { try socket.listenLent(authorization.operations) }
      try promise(object, authorization, range: session.object.footprint?.range, pending)
      promised = session.id
      return opened
    } catch {
      closeIfUnused(session)
      throw error
    }
  }

  private func forgetPromise(_ given: PendingHandOver) {
    guard given.authorization.path == .direct else { return }
    forgetPromise(given.object, given.process, given.session)
  }

  private func forgetPromise(_ object: ObjectID, _ process: ProcessResource, _ session: UInt64?) {
    direct?.forgetPromise(object, process)
    if let session = session.flatMap({ sessions[$0] }) { closeIfUnused(session) }
  }

  /// A process to which objects were given has execed: what runs now is what was claimed, or they are taken back.
  func settleHandOvers(of pid: Int32) {
    guard let waiting = pendingHandOvers.removeValue(forKey: pid) else { return }
    for given in waiting { settle(given, pid) }
  }

  private func settle(_ given: PendingHandOver, _ pid: Int32) {
    guard let asker = pinned(pid), asker.subject.process.start == given.process.start else {
      // It has ended; what it was promised would keep its place in the kernel's maps.
      return forgetPromise(given)
    }
    let subject = asker.subject
    let executablePath = asker.executablePath
    func takeBack(_ refusal: Refusal, _ cause: String) {
      var refused = refusalRecord(
        refusal, object: given.order.object, cause: cause, nearest: nil, path: given.authorization.path)
      refused.describe(subject, executablePath: ByteString(executablePath))
      _ = journal.submit(refused, durability: .none)
      forgetPromise(given)
      let former = given.process
      let targets = recallTargets(formerly: { $0.object == given.object && $0.process == former })
      _ = startRecall(targets, deadline: Clock.boottime() + 1_000_000_000)
    }
    guard subject.executable == given.program else {
      return takeBack(Refusal(.refused, detail: .execed), "it runs another program than it had said")
    }
    guard let object = objects[given.object],
      case .authorized(let authorization) = judge(given.order, subject, program: given.program)
    else { return takeBack(Refusal(.refused, detail: .selector), "the policy changed before its exec") }
    switch hold(object, authorization, for: subject) {
    case .refused(let refusal, let cause): takeBack(refusal, cause)
    case .held(let association):
      if association.path == .direct {
        guard asker.pin.state() == .current, noteHolder(asker.pin.pidfd, association, authorization) else {
          undo(association)
          return takeBack(Refusal(.undecidable), "it could not be followed")
        }
        given.session.flatMap { sessions[$0] }?.users.insert(association.id)
        forgetPromise(given)
      }
      formerHolders.removeAll { $0.object == given.object && $0.process == given.process }
      let entry = processEntry(subject, executablePath, asker.takePin())
      hold(association, by: entry, authorization, channel: nil, uid: subject.effectiveUID ?? .max)
      _ = journalHandover(.grant, association, entry, authorization)
    }
  }

  /// Those whose time is up, and, where the kernel tells of no execs, those that can be seen to have execed.
  func settleHandOvers(now: UInt64) {
    for (pid, waiting) in pendingHandOvers {
      guard let given = waiting.first else { continue }
      if now >= given.deadline {
        settleHandOvers(of: pid)
      } else if processEvents == nil, FileIdentity(ProcessFacts.identity("/proc/\(pid)/exe")) == given.program {
        settleHandOvers(of: pid)
      }
    }
  }

  /// When `settleHandOvers(now:)` is to be called next; `.max`: never.
  var nextHandOverCheck: UInt64 {
    let deadlines = pendingHandOvers.values.compactMap { $0.first?.deadline }
    guard let first = deadlines.min() else { return .max }
    return processEvents == nil ? min(first, Clock.boottime() + 20_000_000) : first
  }
}

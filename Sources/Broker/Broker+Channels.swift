import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Wire

/// A new channel and the end that goes to the application.
struct NewChannel: ~Copyable {
  let channel: ObjectChannel
  let client: Descriptor
}

/// A sender without associations, as it looked when its datagram came.
struct Stranger {
  var process: ProcessResource
  var subject: Subject
  var path: String?
}

/// Where a pool thread's result goes.
struct RunningJob {
  var channel: UInt64
  var uid: UInt32
  var association: AssociationID?
}

extension Broker {
  /// The session that performs instructions on `object`: the shared one, or a new one.
  func session(for object: BrokeredObject, _ authorization: Authorization) throws(SystemError) -> Session {
    var operations = authorization.operations
    // Who may listen decides when; on the path direct not before the socket is tagged (listenLent).
    if authorization.path == .direct, operations.contains(.accept) { operations.formUnion(OperationSet([.listen])) }
    if let shared = object.shared, !shared.isRecalled {
      // The path names another file or device now: whoever holds the old one is stale.
      if let disk = shared.object as? DiskObject, !disk.isCurrent() {
        replaceObject(object, with: object.definition)
      } else {
        if let socket = shared.object as? SocketObject { try socket.admit(operations) }
        return shared
      }
    }
    let opened = try opener.open(object.definition, operations: operations)
    if let footprint = opened.footprint { try learn(footprint, of: object) }
    let session = Session(id: nextSession, objectID: object.id, object: opened)
    nextSession += 1
    if let readiness = opened.readiness {
      try epoll.add(readiness, [.oneShot], token: Token.session(session.id).rawValue)
    }
    sessions[session.id] = session
    if object.isShared { object.shared = session }
    return session
  }

  /// Tells the entity which device and range the object turned out to be, for `exclusive`; only before anybody holds it.
  func learn(_ footprint: Footprint, of object: BrokeredObject) throws(SystemError) {
    let known = EntityFootprint(
      device: footprint.device.device, inode: footprint.device.inode, offset: footprint.range?.offset ?? 0,
      length: footprint.range?.length ?? .max)
    guard object.footprint != known else { return }
    ended(
      try entity.replaceObject(objectRecord(object.id, object.definition, footprint: known)), cause: .replaced,
      reason: .stale)
    object.footprint = known
    object.generation = entity.generation(of: object.id) ?? object.generation
  }

  /// Closes a session that nobody came to use.
  func discard(_ session: Session, of object: BrokeredObject) {
    guard session.users.isEmpty else { return }
    retire(session)
  }

  func closeSessions(of object: BrokeredObject) {
    for session in sessions.values where session.objectID == object.id { retire(session) }
  }

  /// Nothing is performed on it any more, and its socket or device is closed.
  func retire(_ session: Session) {
    if let leavers = ringLeavers.removeValue(forKey: session.id) { takeBack(session, from: leavers) }
    if let readiness = session.object.readiness { try? epoll.remove(readiness) }
    session.retire()
    sessions[session.id] = nil
    if let object = objects[session.objectID], object.shared === session { object.shared = nil }
  }

  /// Each channel is a descriptor of ours, whether or not an association came with it.
  func mayHaveChannel(_ uid: UInt32) -> Bool {
    userChannels[uid, default: 0] < Int(policy.limits.objects) || uid == 0
  }

  func makeChannel(
    _ session: Session, _ object: BrokeredObject, uid: UInt32, application: String, _ association: AssociationRecord?
  ) -> NewChannel? {
    guard let pair = try? MessageSocket.pair(), let cookie = try? MessageSocket.cookie(pair.second.rawValue),
      (try? MessageSocket.passCredentials(pair.first.rawValue)) != nil
    else { return nil }
    let id = nextChannel
    guard
      (try? epoll.add(pair.first.rawValue, [.readable, .peerClosed], token: Token.channel(id).rawValue)) != nil
    else { return nil }
    nextChannel += 1
    let channel = ObjectChannel(
      id: id, socket: pair.first, session: session, ownerUID: uid, applicationName: application,
      objectName: object.definition.name)
    channel.clientCookie = cookie
    channel.association = association?.id
    channel.holder = association?.process
    channel.lineageHolder = association?.process
    channels[id] = channel
    channelCookies[cookie] = id
    userChannels[uid, default: 0] += 1
    return NewChannel(channel: channel, client: pair.second)
  }

  /// Records who holds a new association, in every index that its end will have to find.
  func hold(
    _ association: AssociationRecord, by entry: ProcessEntry, _ authorization: Authorization, channel: ObjectChannel?,
    uid: UInt32
  ) {
    var channels: Set<UInt64> = channel.map { [$0.id] } ?? []
    let existing = associationOwners[association.id]
    if let existing { channels.formUnion(existing.channels) }
    associationOwners[association.id] = AssociationOwner(
      id: association.id, process: association.process, object: association.object,
      application: association.application, uid: uid, channels: channels, authorization: authorization,
      runtimeGrants: authorization.runtimeGrants, since: existing?.since ?? Clock.wall(), opens: existing?.opens ?? 0)
    entry.associations[association.object] = association.id
    if let channel {
      channel.requestsPerSecond = authorization.requestsPerSecond
      channel.session.users.insert(association.id)
      entry.channels.insert(channel.id)
    }
    tree.associated(association.process, object: association.object)
    if association.expiry != 0, association.expiry < nextExpiry ?? .max {
      nextExpiry = association.expiry
      armTimer()
    }
  }

  /// A forked child's library presents the channel it inherited and gets one of its own, with no association yet.
  func adopt(
    _ presented: consuming PeerDescriptor, id: UInt64, from sender: SenderCredentials, on connection: ControlConnection
  ) {
    guard let cookie = try? MessageSocket.cookie(presented.rawValue), let sourceID = channelCookies[cookie],
      let source = channels[sourceID], let object = objects[source.session.objectID]
    else {
      return refuseOpen(
        connection, id, Refusal(.noSuchObject), object: "", cause: "the descriptor is no channel of this broker",
        sender: sender)
    }
    let uid = sender.uid
    // A pid that cannot be looked at any more adopts for nobody: the channel is of no use to whoever reads the reply.
    let start = (try? ProcessPin.startTime(of: sender.pid)) ?? 0
    guard mayHaveChannel(uid) else {
      return refuseOpen(
        connection, id, Refusal(.quota), object: source.objectName, cause: "too many channels of this user",
        sender: sender)
    }
    guard
      let channel = makeChannel(
        source.session, object, uid: uid, application: source.applicationName, nil)
    else {
      return refuseOpen(
        connection, id, Refusal(.undecidable), object: source.objectName, cause: "no descriptor for a channel",
        sender: sender)
    }
    channel.channel.lineageHolder = source.lineageHolder
    channel.channel.adopter = ProcessResource(tgid: UInt32(sender.pid), start: start)
    let owner = source.association.flatMap { associationOwners[$0] }
    let adopted = Adopted(
      channel: channel.channel.id, object: object.id, kind: object.definition.kind, path: .mediated,
      operations: owner?.authorization.operations ?? [], generation: object.generation,
      rangeLength: rangeLength(source, owner), maximumPayload: UInt32(Bounds.payload))
    answer(connection, id, .adopted(adopted), descriptor: channel.client)
  }

  func channelReady(_ id: UInt64, _ ready: PollEvents, _ instructions: inout MessageBuffer) {
    guard let channel = channels[id] else { return }
    if ready.contains(.writable) {
      do { try interpreter.drain(channel, observer: self) } catch { return closeChannel(channel) }
      if !channel.isCongested { watchChannel(channel) }
    }
    guard !channel.isCongested else {
      if !ready.isDisjoint(with: [.hangUp, .error]) { closeChannel(channel) }
      return
    }
    if !ready.isDisjoint(with: [.readable, .hangUp, .error, .peerClosed]) {
      receive(channel, into: &instructions)
    }
  }

  private func receive(_ channel: ObjectChannel, into instructions: inout MessageBuffer) {
    let sender: SenderCredentials?
    do {
      switch try MessageSocket.receive(channel.socket.rawValue, into: &instructions) {
      case .wouldBlock: return
      case .ready(let message):
        guard message.count > 0 else { return closeChannel(channel) }
        guard message.descriptorCount == 0, !message.truncated else {
          return poison(channel, "a datagram with descriptors, or too long")
        }
        sender = message.sender
      }
    } catch { return closeChannel(channel) }
    stranger = nil
    // After the receive and before the verdict: what ended or changed by now was so, or might have been, when it sent.
    let hasObserved = observeProcesses()
    bindInherited(sender, on: channel)
    let issuer = identity(of: sender, hasObserved: hasObserved)
    do {
      try instructions.withSpans { (elements, bytes) throws(WireError) in
        try interpreter.interpret(
          elements, bytes, on: channel, issuer: issuer, now: Clock.boottime(), observer: self)
      }
    } catch { poison(channel, "malformed: \(error)") }
  }

  /// Who sent an instruction: the process resource that is known by this pid, if its pin still stands.
  ///
  /// A pid that nobody is registered under names a process without associations, with a start time that matches none.
  ///
  /// - Parameter hasObserved: `observeProcesses` has just removed from `processes` whoever it saw to have ended.
  private func identity(of sender: SenderCredentials?, hasObserved: Bool) -> ProcessResource {
    guard let sender, sender.pid > 0 else { return ProcessResource(tgid: 0, start: 0) }
    guard let entry = processes[sender.pid] else {
      return ProcessResource(tgid: UInt32(sender.pid), start: 0)
    }
    let isKnownAlive = hasObserved && entry.isWitnessed
    switch entry.pin.state(watchingEnd: !isKnownAlive, watchingImage: processEvents == nil) {
    case .current: break
    case .execed: execed(entry)
    case .ended:
      processEnded(sender.pid)
      return ProcessResource(tgid: UInt32(sender.pid), start: 0)
    }
    return entry.resource
  }

  /// A peer that does not speak the protocol: everything of this channel ends, nothing of others.
  private func poison(_ channel: ObjectChannel, _ text: String) {
    var refused = record(.refusal)
    refused.reason = .undecidable
    refused.errno = ErrorCode.badMessage
    refused.object = ByteString(channel.objectName)
    refused.application = ByteString(channel.applicationName)
    refused.pid = channel.holder?.tgid
    refused.uid = channel.ownerUID
    refused.path = .mediated
    refused.message = ByteString(text)
    _ = journal.submit(refused, durability: .none)
    closeChannel(channel)
  }

  func watchChannel(_ channel: ObjectChannel) {
    let events: PollEvents = channel.isCongested ? [.writable] : [.readable, .peerClosed]
    try? epoll.modify(channel.socket.rawValue, events, token: Token.channel(channel.id).rawValue)
  }

  /// Ends a channel; the association ends with the last channel of its holder.
  func closeChannel(_ channel: ObjectChannel) {
    guard channels.removeValue(forKey: channel.id) != nil else { return }
    channelCookies[channel.clientCookie] = nil
    let left = userChannels[channel.ownerUID, default: 1] - 1
    userChannels[channel.ownerUID] = left > 0 ? left : nil
    account(-channel.queuedBytes, of: channel.ownerUID)
    if let holder = channel.holder, let entry = processes[Int32(bitPattern: holder.tgid)] {
      entry.channels.remove(channel.id)
    }
    try? epoll.remove(channel.socket.rawValue)
    releaseRequests(of: channel, channel.outstanding)
    channel.parked = []
    channel.session.waiting.removeAll { $0 == channel.id }
    if let id = channel.association, var owner = associationOwners[id] {
      owner.channels.remove(channel.id)
      associationOwners[id] = owner
      if owner.channels.isEmpty {
        ended(
          entity.drop(AssociationSelector(association: id), as: .dropped), cause: .closed, reason: .notAssociated)
      }
    }
    if let holder = channel.lineageHolder { forgetEvidence(of: holder) }
    closeIfUnused(channel.session)
  }

  /// A session that neither an association nor a channel with evidence refers to is closed.
  func closeIfUnused(_ session: Session) {
    guard session.users.isEmpty, sessions[session.id] != nil, !lingers(session), !isPromised(session),
      // Not before the ring is empty: requests would end by the shutdown, as if something had come.
      !ringUses.values.contains(where: { $0.session === session })
    else { return }
    let hasEvidence = channels.values.contains { channel in
      guard channel.session === session, let holder = channel.lineageHolder else { return false }
      return entity.record(for: session.objectID, process: holder)?.departed ?? false
    }
    if !hasEvidence { retire(session) }
  }

  func sessionReady(_ id: UInt64, _ ready: PollEvents) {
    guard let session = sessions[id] else { return }
    observeProcesses()
    interpreter.resume(
      session, ready: ready, channels: { self.channels[$0] }, now: Clock.boottime(), observer: self)
  }

  func effectsFinished() {
    for finished in pool.takeFinished() {
      guard let job = jobs.removeValue(forKey: finished.token) else { continue }
      releaseRequests(uid: job.uid, 1)
      if let channel = channels[job.channel] { interpreter.finished(finished, on: channel, observer: self) }
      settleRevokes()
    }
  }

  func releaseRequests(of channel: ObjectChannel, _ count: Int) {
    // Those on pool threads are released when they finish.
    releaseRequests(uid: channel.ownerUID, count - channel.running.count)
  }

  private func releaseRequests(uid: UInt32, _ count: Int) {
    let left = userRequests[uid, default: 0] - count
    userRequests[uid] = left > 0 ? left : nil
  }
}

extension Broker: InterpreterObserver {
  public func refused(_ refusal: Refusal, _ instruction: Instruction, issuer: Issuer, channel: ObjectChannel) {
    refusals += 1
    var refused = AuditRecord(refusal: refusal, time: Broker.auditTime(), boot: boot)
    refused.describe(instruction)
    refused.object = ByteString(channel.objectName)
    refused.application = ByteString(channel.applicationName)
    refused.path = .mediated
    refused.association = channel.association
    refused.generation = objects[channel.session.objectID]?.generation
    if let held = channel.association.flatMap({ associationOwners[$0] }) {
      describe(held.authorization, refusing: instruction.opcode, as: refusal.reason, in: &refused)
    }
    describe(issuer, in: &refused)
    _ = journal.submit(refused, durability: .none)
  }

  /// What the association has, to be read beside what was observed.
  func describe(
    _ held: Authorization, refusing opcode: Opcode?, as reason: Reason?, in record: inout AuditRecord
  ) {
    record.operations = held.operations
    guard reason == .limit, let opcode, let limit = held.limits.text(for: opcode) else { return }
    record.grant = ByteString("\(held.application): \(limit)")
  }

  public func used(_ instruction: Instruction, issuer: Issuer, channel: ObjectChannel) {
    var used = record(.use)
    used.describe(instruction)
    used.object = ByteString(channel.objectName)
    used.application = ByteString(channel.applicationName)
    used.path = .mediated
    used.association = channel.association
    describe(issuer, in: &used)
    _ = journal.submit(used, durability: .none)
  }

  private func describe(_ issuer: Issuer, in record: inout AuditRecord) {
    guard case .process(let process) = issuer else { return }
    if let entry = processes[Int32(bitPattern: process.tgid)], entry.resource == process {
      record.describe(entry.subject, executablePath: ByteString(entry.executablePath))
    } else if process.tgid != 0 {
      // Not registered: looked at once for each datagram, for people; nothing was decided by it.
      if stranger?.process != process {
        let facts = ProcessFacts(of: Int32(bitPattern: process.tgid), lookingAtThreads: false)
        stranger = Stranger(
          process: process, subject: Broker.subject(facts, process: process), path: facts.executablePath)
      }
      if let stranger {
        record.describe(stranger.subject, executablePath: stranger.path.map { ByteString($0) })
      }
    }
    record.describe(process)
  }

  public func exceededQuota(
    _ instruction: Instruction, association: AssociationID?, channel: ObjectChannel
  ) -> Refusal? {
    // A grant counts from when its record is on disk; who waits for the reply never sees this.
    if let association, unrecorded.contains(association) { return Refusal(.undecidable) }
    guard let rate = channel.requestsPerSecond, let association = channel.association else { return nil }
    let now = Clock.boottime()
    var bucket = rates[channel.applicationName] ?? RateBucket(tokens: Double(rate), filled: now)
    let taken = bucket.take(perSecond: rate, now: now)
    rates[channel.applicationName] = bucket
    return taken ? nil : Refusal(.quota, message: associationOwners[association]?.authorization.message ?? "")
  }

  public func mayWait(_ channel: ObjectChannel) -> Bool {
    let count = userRequests[channel.ownerUID, default: 0]
    guard count < Int(policy.limits.requests) || channel.ownerUID == 0 else { return false }
    userRequests[channel.ownerUID] = count + 1
    return true
  }

  public func waited(_ channel: ObjectChannel, count: Int) { releaseRequests(uid: channel.ownerUID, count) }

  public func nextToken(for channel: ObjectChannel) -> UInt64 {
    let token = nextJob
    nextJob += 1
    jobs[token] = RunningJob(channel: channel.id, uid: channel.ownerUID, association: channel.association)
    return token
  }

  public func forget(token: UInt64) { jobs[token] = nil }

  public func watch(_ session: Session) {
    guard let readiness = session.object.readiness, sessions[session.id] != nil else { return }
    var wanted: PollEvents = [.oneShot]
    for id in session.waiting {
      guard let channel = channels[id] else { continue }
      wanted.formUnion(channel.awaited)
    }
    try? epoll.modify(readiness, wanted, token: Token.session(session.id).rawValue)
  }

  public func congested(_ channel: ObjectChannel, queued bytes: Int) {
    watchChannel(channel)
    account(bytes, of: channel.ownerUID)
    if userQueues[channel.ownerUID, default: 0] > Self.queueLimit { overrun.insert(channel.id) }
  }

  public func drained(_ channel: ObjectChannel, bytes: Int) { account(-bytes, of: channel.ownerUID) }

  private func account(_ bytes: Int, of uid: UInt32) {
    let left = userQueues[uid, default: 0] + bytes
    userQueues[uid] = left > 0 ? left : nil
  }

  /// Ends the channels of users whose unread replies have become too many; not while the interpreter works on them.
  func closeOverrun() {
    guard !overrun.isEmpty else { return }
    for id in overrun {
      if let channel = channels[id] { poison(channel, "the application does not read its replies") }
    }
    overrun = []
  }

  /// Bytes of unread replies that one user's channels may have together.
  static let queueLimit = 32 << 20
}

import Authority
import Instructions
import Linux
import Wire

extension Broker {
  func acceptConnections() {
    while true {
      do {
        switch try MessageSocket.accept(listener.rawValue) {
        case .wouldBlock: return
        case .ready(let socket): admit(PeerDescriptor(socket))
        }
      } catch {
        guard error.errno == ErrorCode.tooManyFiles || error.errno == ErrorCode.tooManyFilesInSystem else { return }
        shedConnection()
        return
      }
    }
  }

  /// Out of descriptors: the reserve makes room to take one waiting connection, so that the listener does not stay
  /// readable for ever (OpenSMTPD's control.c does the same). It is served if root or the broker's own user has made
  /// it, who may have come to end what uses up the descriptors; anybody else sees it closed.
  private func shedConnection() {
    reserve.removeAll()
    defer { refillReserve() }
    guard case .ready(let accepted) = try? MessageSocket.accept(listener.rawValue) else { return }
    let socket = PeerDescriptor(accepted)
    guard let peer = try? MessageSocket.peer(socket.rawValue),
      peer.uid == 0 || peer.uid == Confinement.effectiveUID
    else { return }
    admit(socket)
  }

  /// As far as there are descriptors again.
  func refillReserve() {
    while reserve.count < 8, let held = try? ProcFile.open("/dev/null") { reserve.append(HeldDescriptor(held)) }
  }

  private func admit(_ socket: consuming PeerDescriptor) {
    guard let peer = try? MessageSocket.peer(socket.rawValue) else { return }
    let count = userConnections[peer.uid, default: 0]
    if count >= Int(policy.limits.connections), peer.uid != 0 {
      let reply = Reply.refused(
        RefusedReply(Refusal(.quota, message: "too many connections of this user")))
      if let bytes = try? reply.encode(id: 1) {
        _ = bytes.withRawSpan { try? MessageSocket.send(socket.rawValue, $0) }
      }
      return
    }
    let id = nextConnection
    nextConnection += 1
    let connection = ControlConnection(id: id, socket: socket, peerUID: peer.uid)
    guard (try? epoll.add(connection.socket.rawValue, .readable, token: Token.connection(id).rawValue)) != nil else {
      return
    }
    userConnections[peer.uid] = count + 1
    connections[id] = connection
  }

  func connectionReady(_ id: UInt64, _ ready: PollEvents) {
    guard let connection = connections[id] else { return }
    if ready.contains(.writable) { drain(connection) }
    guard connections[id] != nil, connection.outgoing.isEmpty else { return }
    if !ready.isDisjoint(with: [.readable, .hangUp, .error]) { receive(connection) }
  }

  private func receive(_ connection: ControlConnection) {
    do {
      switch try MessageSocket.receive(connection.socket.rawValue, into: &request) {
      case .wouldBlock: return
      case .ready(let message):
        guard message.count > 0 else { return close(connection) }
        observeProcesses()
        handle(message, on: connection)
      }
    } catch { close(connection) }
  }

  private func handle(_ message: consuming ReceivedMessage, on connection: ControlConnection) {
    var message = message
    let attachments = message.descriptorCount
    var attached = message.descriptor.take()
    guard !message.truncated else { return refuseMalformed(connection, id: 1, "the message is too long") }
    let decoded: (id: UInt64, request: Request)
    do {
      decoded = try request.withSpan { (span) throws(WireError) in try Request.decode(span) }
    } catch {
      let id = request.withSpan { span in (try? ControlHeader(decoding: span))?.requestID } ?? 1
      return refuseMalformed(connection, id: max(id, 1), "malformed: \(error)")
    }
    guard attachments == decoded.request.kind.descriptors else {
      return refuseMalformed(connection, id: decoded.id, "\(attachments) descriptors attached")
    }
    let rule = RequestRule.of(decoded.request.kind)
    guard rule.phase.allows(connection) else {
      return refuseMalformed(connection, id: decoded.id, "out of phase")
    }
    guard let sender = message.sender, sender.pid > 0 else {
      return answer(
        connection, decoded.id,
        .refused(RefusedReply(Refusal(.refused, detail: .namespace, message: "the sender has no pid here"))))
    }
    perform(decoded.request, id: decoded.id, from: sender, rule: rule, attached: attached.take(), on: connection)
  }

  private func perform(
    _ request: Request, id: UInt64, from sender: SenderCredentials, rule: RequestRule,
    attached: consuming PeerDescriptor?, on connection: ControlConnection
  ) {
    switch request {
    case .open(let open): return self.open(open, id: id, from: sender, on: connection)
    case .confirm(let nonce): return confirm(nonce, id: id, from: sender, on: connection)
    case .adopt:
      guard let channel = attached.take() else { return }
      return adopt(channel, id: id, from: sender, on: connection)
    case .revalidate(let channel): return revalidate(channel: channel, id: id, from: sender, on: connection)
    case .supervise(let calls):
      guard let listener = attached.take() else { return }
      return supervise(calls, listener, id: id, from: sender, on: connection)
    case .handOver(let order):
      guard let program = attached.take() else { return }
      return handOver(order, program, id: id, from: sender, on: connection)
    case .revalidateObject(let object): return revalidateObject(object, id: id, from: sender, on: connection)
    case .release(let association, let ring):
      return release(association, ring: ring, id: id, from: sender, on: connection)
    case .enrol(let enrol): return self.enrol(enrol, id: id, from: sender, on: connection)
    default: break
    }
    let caller = caller(of: sender)
    switch rule.right {
    case .everyone: break
    case .administrator where caller.isAdministrator: break
    case .auditReader: break
    case .administrator:
      recordForbidden(request.kind, by: caller)
      return answer(
        connection, id,
        .failed(Failure(errno: ErrorCode.notPermitted, text: "only for root, the broker's own user and administrators"))
      )
    }
    switch request {
    case .hello:
      connection.isGreeted = true
      answer(
        connection, id,
        .welcome(
          Welcome(
            broker: configuration.version, features: features, admin: caller.isAdministrator)))
    case .status: answer(connection, id, .status(status(for: caller)))
    case .doctor: answer(connection, id, .doctor(doctor(for: caller)))
    case .objects(let query): answer(connection, id, .objects(list(query, for: caller)))
    case .associations(let query): answerAssociations(query, id: id, for: caller, on: connection)
    case .canI(let query): answerCanI(query, id: id, for: caller, on: connection)
    case .revoke(let order): revoke(order, id: id, by: caller, on: connection)
    case .grant(let order): grant(order, id: id, by: caller, on: connection)
    case .reload: answerReload(id: id, by: caller, on: connection)
    case .auditRead(let query): readAudit(query, id: id, for: caller, on: connection)
    case .plan(let query): answer(connection, id, .plan(plan(query, for: caller)))
    case .open, .confirm, .adopt, .revalidate, .supervise, .handOver, .revalidateObject, .release, .enrol: break
    }
  }

  private var features: Features {
    var features: Features = .mediated
    if direct != nil { features.insert(.direct) }
    if ringObstacle == nil { features.insert(.ring) }
    return features
  }

  /// Who asks, for rights.
  ///
  /// The uid is the one that the kernel stamped, and it carries rights only if the process that has this pid now, pinned,
  /// has it too: a sender that dies and whose number a root process gets must not become root (polkit CVE-2019-6133).
  func caller(of sender: SenderCredentials) -> Caller {
    var subject = Subject(process: ProcessResource(tgid: UInt32(sender.pid), start: 0))
    subject.effectiveUID = sender.uid
    var facts = verifiedFacts(of: sender)
    if facts == nil {
      // Perhaps for want of descriptors: an administrator must get through.
      reserve.removeAll()
      facts = verifiedFacts(of: sender)
      refillReserve()
    }
    if let facts { subject = Broker.subject(facts, process: subject.process) }
    let isVerified = facts != nil
    let isAdministrator = isVerified && policy.isAdministrator(subject, brokerUID: Confinement.effectiveUID)
    return Caller(
      pid: sender.pid, uid: sender.uid, subject: subject, isAdministrator: isAdministrator,
      mayReadAudit: isAdministrator || isVerified && isAuditReader(subject))
  }

  private func verifiedFacts(of sender: SenderCredentials) -> ProcessFacts? {
    guard let pidfd = try? ProcessPin.handle(of: sender.pid) else { return nil }
    // Every command comes here, and a program can have a thousand threads: a tracer takes no right from who asks.
    let facts = ProcessFacts(of: sender.pid, lookingAtThreads: false)
    guard let ended = try? isReadable(pidfd.rawValue), !ended, facts.effectiveUID == sender.uid else { return nil }
    return facts
  }

  private func isAuditReader(_ subject: Subject) -> Bool {
    guard let readers = policy.audit.readersID else { return false }
    return subject.effectiveGID == readers || subject.supplementaryGIDs.contains(readers)
  }

  static func subject(_ facts: ProcessFacts, process: ProcessResource) -> Subject {
    Subject(
      process: process, effectiveUID: facts.effectiveUID, effectiveGID: facts.effectiveGID,
      supplementaryGIDs: facts.groups, executable: FileIdentity(facts.executable), cgroup: facts.cgroup,
      pidNamespace: FileIdentity(facts.pidNamespace), networkNamespace: FileIdentity(facts.networkNamespace),
      traced: facts.tracer.map { $0 != 0 })
  }

  /// Tells the one at fault and ends the connection.
  private func refuseMalformed(_ connection: ControlConnection, id: UInt64, _ text: String) {
    answer(connection, id, .failed(Failure(errno: ErrorCode.badMessage, text: text)))
    close(connection)
  }

  func answer(_ connection: ControlConnection, _ id: UInt64, _ reply: Reply, descriptor: consuming Descriptor? = nil) {
    guard let bytes = try? reply.encode(id: id) else {
      // Only text of ours that is too long can end here: the request is answered all the same.
      let short = Reply.failed(Failure(errno: ErrorCode.inputOutput, text: "the answer does not fit a message"))
      guard let bytes = try? short.encode(id: id) else { return }
      return send(connection, bytes, nil)
    }
    send(connection, bytes, descriptor)
  }

  private func send(_ connection: ControlConnection, _ bytes: [UInt8], _ descriptor: consuming Descriptor?) {
    guard connections[connection.id] != nil else { return }
    if connection.outgoing.isEmpty {
      let number = descriptor.numbers.first
      do {
        let sent: Bool = try bytes.withRawSpan { (span) throws(SystemError) in
          switch try MessageSocket.send(connection.socket.rawValue, span, descriptor: number) {
          case .ready: true
          case .wouldBlock: false
          }
        }
        if sent { return }
      } catch { return close(connection) }
    }
    // A client that asks and never reads: it is not read from any more, and its queue stays this short.
    guard connection.outgoing.count < 64 else { return close(connection) }
    connection.outgoing.append(ControlConnection.Outgoing(bytes: bytes, descriptor: descriptor.take()))
    try? epoll.modify(connection.socket.rawValue, .writable, token: Token.connection(connection.id).rawValue)
  }

  private func drain(_ connection: ControlConnection) {
    while let next = connection.outgoing.first {
      do {
        let sent: Bool = try next.bytes.withRawSpan { (span) throws(SystemError) in
          switch try MessageSocket.send(connection.socket.rawValue, span, descriptor: next.descriptor.numbers.first) {
          case .ready: true
          case .wouldBlock: false
          }
        }
        guard sent else { return }
      } catch { return close(connection) }
      connection.outgoing.removeFirst()
    }
    try? epoll.modify(connection.socket.rawValue, .readable, token: Token.connection(connection.id).rawValue)
  }

  func close(_ connection: ControlConnection) {
    guard connections.removeValue(forKey: connection.id) != nil else { return }
    let uid = connection.peerUID
    let left = userConnections[uid, default: 1] - 1
    userConnections[uid] = left > 0 ? left : nil
    pendingRevokes.removeAll { $0.connection == connection.id }
    // The descriptor leaves every epoll set with its last reference, which goes with the connection object.
    try? epoll.remove(connection.socket.rawValue)
  }
}

/// When a request may come and whose it may be; one row per request, and nothing else decides it.
struct RequestRule: Sendable {
  enum Phase: Sendable {
    case first
    case greeted
    case challenged

    func allows(_ connection: ControlConnection) -> Bool {
      switch self {
      case .first: !connection.isGreeted
      case .greeted: connection.isGreeted && connection.pending == nil
      case .challenged: connection.isGreeted && connection.pending != nil
      }
    }
  }

  enum Right: Sendable {
    case everyone
    case administrator
    /// Everyone for their own, readers and administrators for all; the handler filters.
    case auditReader
  }

  var phase: Phase
  var right: Right

  static func of(_ kind: Request.Kind) -> RequestRule {
    switch kind {
    case .hello: RequestRule(phase: .first, right: .everyone)
    case .open: RequestRule(phase: .greeted, right: .everyone)
    case .confirm: RequestRule(phase: .challenged, right: .everyone)
    case .adopt: RequestRule(phase: .greeted, right: .everyone)
    case .revalidate: RequestRule(phase: .greeted, right: .everyone)
    case .status: RequestRule(phase: .greeted, right: .everyone)
    case .doctor: RequestRule(phase: .greeted, right: .everyone)
    case .objects: RequestRule(phase: .greeted, right: .everyone)
    case .associations: RequestRule(phase: .greeted, right: .everyone)
    case .canI: RequestRule(phase: .greeted, right: .everyone)
    case .revoke: RequestRule(phase: .greeted, right: .administrator)
    case .grant: RequestRule(phase: .greeted, right: .administrator)
    case .reload: RequestRule(phase: .greeted, right: .administrator)
    case .auditRead: RequestRule(phase: .greeted, right: .auditReader)
    case .plan: RequestRule(phase: .greeted, right: .everyone)
    case .supervise: RequestRule(phase: .greeted, right: .everyone)
    case .handOver: RequestRule(phase: .greeted, right: .everyone)
    case .revalidateObject: RequestRule(phase: .greeted, right: .everyone)
    case .release: RequestRule(phase: .greeted, right: .everyone)
    case .enrol: RequestRule(phase: .challenged, right: .everyone)
    }
  }
}

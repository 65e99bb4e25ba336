import Audit
import Instructions
import Linux
import Wire

/// Containers whose seccomp filter notifies of calls.
///
/// A listener gives nobody anything: each notification is judged by the facts of the process that issued it, and what the
/// runtime says about the container goes to the journal only.
extension Broker {
  func watch(_ agent: SeccompAgent) throws(SystemError) {
    try epoll.add(agent.listener.rawValue, .readable, token: Token.seccompAgent.rawValue)
    for number in agent.keeper.numbers { try epoll.add(number, .readable, token: Token.listenerKeeper.rawValue) }
  }

  func acceptRuntimes() {
    guard let agent else { return }
    while !agent.isFull {
      do {
        guard case .ready(let socket) = try MessageSocket.accept(agent.listener.rawValue) else { return }
        admit(PeerDescriptor(socket), to: agent)
      } catch {
        guard error.errno == ErrorCode.tooManyFiles || error.errno == ErrorCode.tooManyFilesInSystem else { return }
        // As for clients that are taken at all: only root and the broker's own user can connect here.
        reserve.removeAll()
        defer { refillReserve() }
        guard case .ready(let socket) = try? MessageSocket.accept(agent.listener.rawValue) else { return }
        return admit(PeerDescriptor(socket), to: agent)
      }
    }
    // Not asked again before one of these has ended.
    try? epoll.modify(agent.listener.rawValue, [], token: Token.seccompAgent.rawValue)
  }

  private func admit(_ socket: consuming PeerDescriptor, to agent: SeccompAgent) {
    // The socket's mode says so already; a mode can be changed.
    guard let peer = try? MessageSocket.peer(socket.rawValue), peer.uid == 0 || peer.uid == Confinement.effectiveUID
    else { return }
    let id = agent.nextIncoming
    agent.nextIncoming += 1
    let incoming = SeccompAgent.Incoming(
      id: id, socket: socket, peer: peer, deadline: Clock.boottime() + SeccompAgent.patience)
    guard (try? epoll.add(incoming.socket.rawValue, .readable, token: Token.runtime(id).rawValue)) != nil else {
      return
    }
    agent.incoming[id] = incoming
    armTimer()
  }

  func runtimeReady(_ id: UInt64) {
    guard let agent, let incoming = agent.incoming[id] else { return }
    do {
      guard case .ready(var part) = try StreamSocket.receive(incoming.socket.rawValue, into: &request) else { return }
      guard !incoming.isTaken else {
        if part.count == 0 { finish(incoming, agent) }
        return
      }
      guard part.count > 0 else { return refuse(incoming, "it ended before it was complete", agent) }
      switch incoming.take(request.copy(), &part) {
      case .incomplete: return
      case .refused(let why): return refuse(incoming, why, agent)
      case .complete(let state):
        guard let listener = incoming.takeListener(state), NotificationListener.isListener(listener.rawValue) else {
          return refuse(incoming, "seccompFd is no seccomp listener", agent)
        }
        incoming.linger(until: Clock.boottime() + SeccompAgent.patienceForRest)
        armTimer()
        supervise(listener, of: state, from: incoming.peer, agent)
      }
    } catch { return incoming.isTaken ? finish(incoming, agent) : refuse(incoming, "\(error)", agent) }
  }

  private func supervise(
    _ listener: consuming PeerDescriptor, of state: ContainerProcessState, from peer: SenderCredentials,
    _ agent: SeccompAgent
  ) {
    var taken = containerRecord(.intent, state.containerID, "its runtime sent its seccomp listener")
    taken.pid = UInt32(bitPattern: state.pid)
    taken.uid = peer.uid
    _ = journal.submit(taken, durability: .none)
    // The keeper asks this broker to supervise it, as every keeper does, and goes on when it ends.
    guard !agent.keep(listener.rawValue, of: state.containerID) else { return }
    do throws(SystemError) {
      _ = try startSupervisor(listener, uid: peer.uid)
    } catch {
      refuse(state.containerID, "its calls cannot be answered: \(error)", peer)
    }
  }

  /// What the keeper says about listeners that it was sent, or that it has ended.
  func keeperReady() {
    guard let agent, let number = agent.keeper.numbers.first else { return }
    while case .ready(let answer)? = try? MessageSocket.receive(number, into: &request) {
      guard answer.count > 0 else { return loseKeeper(agent) }
      let container = agent.submitted.isEmpty ? "" : agent.submitted.removeFirst()
      let text = request.copy()
      guard text[0] != 0 else { continue }
      let why = String(decoding: text.dropFirst(), as: UTF8.self)
      let report = containerRecord(
        .refusal, container, "its calls go on without a grant until a broker takes them: \(why)")
      refusals += 1
      _ = journal.submit(report, durability: .none)
    }
  }

  private func loseKeeper(_ agent: SeccompAgent) {
    for number in agent.keeper.numbers { try? epoll.remove(number) }
    agent.keeper = nil
    StandardError.write(
      "posternd: the keeper of containers' seccomp listeners has ended; containers will not survive a restart\n")
  }

  /// Closes connections whose runtimes take too long, or whose message was taken some time ago.
  func expireRuntimes(at now: UInt64) {
    guard let agent else { return }
    for incoming in agent.incoming.values where incoming.deadline <= now {
      if incoming.isTaken { finish(incoming, agent) } else { refuse(incoming, "it took too long", agent) }
    }
  }

  private func refuse(_ incoming: SeccompAgent.Incoming, _ why: String, _ agent: SeccompAgent) {
    finish(incoming, agent)
    refuse("", "the message of a container runtime was refused: \(why)", incoming.peer)
  }

  private func refuse(_ container: String, _ why: String, _ peer: SenderCredentials) {
    refusals += 1
    var refused = containerRecord(.refusal, container, why)
    refused.pid = UInt32(bitPattern: peer.pid)
    refused.uid = peer.uid
    _ = journal.submit(refused, durability: .none)
  }

  private func containerRecord(_ kind: AuditKind, _ container: String, _ text: String) -> AuditRecord {
    var record =
      kind == .refusal
      ? AuditRecord(refusal: Refusal(.refused), time: Broker.auditTime(), boot: boot) : self.record(kind)
    record.path = .handover
    record.message = ByteString(container.isEmpty ? text : "container \(container): \(text)")
    return record
  }

  private func finish(_ incoming: SeccompAgent.Incoming, _ agent: SeccompAgent) {
    let wasFull = agent.isFull
    try? epoll.remove(incoming.socket.rawValue)
    agent.incoming[incoming.id] = nil
    if wasFull { try? epoll.modify(agent.listener.rawValue, .readable, token: Token.seccompAgent.rawValue) }
  }
}

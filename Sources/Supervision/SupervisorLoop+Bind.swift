import Authority
import Entity
import Instructions
import Linux

/// A bind(2) on the program's own socket, fetched.
final class BindWork {
  let name: SocketName
  private var socket: Descriptor?

  init(name: SocketName, socket: consuming Descriptor) {
    self.name = name
    self.socket = consume socket
  }

  /// To be taken and closed before the call is answered: while we have the socket, too, its port is not free when the
  /// program has closed it.
  func takeSocket() -> Descriptor? { socket.take() }
}

extension SupervisorLoop {
  mutating func prepareBind(_ notification: Notification) throws(SystemError) {
    let length = Int(truncatingIfNeeded: notification.arguments.2 & 0xffff_ffff)
    guard length > 0, length <= SocketName.limit else { return letThrough(notification.id) }
    let caller = try self.caller(notification.thread)
    let name = SocketName(try caller.thread.read(at: notification.arguments.1, count: length))
    guard try supervisor.listener.isValid(notification.id) else { return supervisor.ledger.end(notification.id) }
    let table = supervisor.table.current
    let named = table.named(name)
    guard !named.isEmpty || isPrivileged(name, table) else { return letThrough(notification.id) }
    let socket = try caller.thread.fetch(Int32(truncatingIfNeeded: notification.arguments.0))
    // The number may have come to mean another socket since the call was made: only what was fetched is looked at, and
    // only what was fetched is bound.
    let description = try SocketForm(of: socket)
    var candidates: [PreparedCall.Candidate] = []
    for entry in named where try Self.fits(entry, description, name, caller.thread) {
      candidates.append(PreparedCall.Candidate(entry: entry, needed: OperationSet(.bind), suffices: .all))
    }
    var privileged = isPrivileged(name, table)
    // Only for what is recorded of a refusal, which is not to be expected where there is an association already.
    if privileged, !candidates.contains(where: { caller.associated[$0.entry.id] != nil }) {
      privileged = !(try caller.thread.facts()).holds(.netBindService)
      guard try supervisor.listener.isValid(notification.id) else { return supervisor.ledger.end(notification.id) }
    }
    var operands = Operands()
    if case .internet(let address) = name.form { operands.address = address }
    let told = told(
      notification, caller, candidates, opcode: .bind, operands: operands, text: caller.text(ofBind: name),
      isPrivileged: privileged)
    let work = BindWork(name: name, socket: socket)
    guard !candidates.isEmpty else {
      _ = work.takeSocket()
      return refuse(told, .noSuchObject, "no object of the policy is this address for this kind of socket")
    }
    decide(PreparedCall(caller: caller, candidates: candidates, told: told, work: .bind(work)))
  }

  /// Whether an unprivileged process may not bind it.
  private func isPrivileged(_ name: SocketName, _ table: InterceptTable) -> Bool {
    guard case .internet(let address) = name.form else { return false }
    return address.port != 0 && address.port < table.privilegedPorts
  }

  /// Whether the object is this kind of socket, in this network namespace.
  private static func fits(
    _ entry: InterceptTable.Entry, _ socket: SocketForm, _ name: SocketName, _ thread: borrowing NotifyingThread
  ) throws(SystemError) -> Bool {
    guard case .socket(let specification) = entry.definition.specification, let network = entry.network,
      network == socket.network
    else { return false }
    switch specification.endpoint {
    case .tcp(let address):
      return socket.isInternet(address.family, mapped: name.isMapped) && socket.isStream && socket.isTCP
    case .udp(let address):
      return socket.isInternet(address.family, mapped: name.isMapped) && socket.isDatagram && socket.ipProtocol == 17
    case .unix(let path):
      guard socket.isUnix, socket.isStream, case .unixPath(let given) = name.form else { return false }
      // The same name under another root is another file, which the kernel decides about.
      let surroundings = try PathSurroundings(tgid: thread.tgid, tid: thread.tid)
      return try UnixBinding.names(given, SocketPlace(path: path), in: surroundings)
    case .raw, .packet: return false
    }
  }

  /// Binds the fetched socket. What the kernel says against it is what the program is told.
  func bind(
    _ granted: consuming GrantedOperations, _ work: BindWork, _ call: PreparedCall, _ candidate: PreparedCall.Candidate
  ) {
    answer(call.told.id, errno: bound(work, call, candidate))
  }

  /// 0 or an errno; the fetched socket is closed.
  private func bound(_ work: BindWork, _ call: PreparedCall, _ candidate: PreparedCall.Candidate) -> Int32 {
    guard let socket = work.takeSocket() else { return ErrorCode.accessDenied }
    do throws(SystemError) {
      let wasTagged = supervisor.direct?.kernel.isTagged(socket) ?? false
      // Before it is bound: afterwards another thread could listen, and connections would come untagged.
      try tag(socket, call, candidate)
      do throws(SystemError) {
        switch work.name.form {
        case .internet: try socket.bind(name: work.name.bytes)
        case .unixPath(let path): try bindPath(path, socket, call, candidate)
        case .other: throw SystemError(errno: ErrorCode.accessDenied, operation: "bind")
        }
      } catch {
        if !wasTagged, isBoundElsewhere(socket, work.name) { supervisor.direct?.kernel.untag(socket) }
        throw error
      }
    } catch { return error.errno }
    return 0
  }

  /// Whether it is, and stays, something else than the object: bound before, to another name. A socket that is not bound may
  /// be about to be, by another process's call, and stays tagged; one that has been the object stays it anyway.
  private func isBoundElsewhere(_ socket: borrowing Descriptor, _ wanted: SocketName) -> Bool {
    guard let local = try? SocketDescription(of: socket).local else { return false }
    switch (local, wanted.form) {
    case (.network(let bound), .internet(let address)): return bound.port != 0 && bound.port != address.port
    case (.unix(let bound), .unixPath(let path)):
      return !bound.isEmpty && bound.split(separator: 0x2f).last != path.split(separator: 0x2f).last
    default: return false
    }
  }

  /// In the program's root, as the program's own: its user, its group, its file mode mask.
  private func bindPath(
    _ path: [UInt8], _ socket: borrowing Descriptor, _ call: PreparedCall, _ candidate: PreparedCall.Candidate
  ) throws(SystemError) {
    guard case .socket(let specification) = candidate.entry.definition.specification,
      case .unix(let wanted) = specification.endpoint
    else { throw SystemError(errno: ErrorCode.accessDenied, operation: "bind") }
    let surroundings = try PathSurroundings(tgid: call.caller.thread.tgid, tid: call.caller.thread.tid)
    try UnixBinding.bind(
      socket, name: path, surroundings: surroundings, expected: SocketPlace(path: wanted),
      as: surroundings.credentials())
  }
}

extension SocketName {
  /// For people.
  var text: String {
    switch form {
    case .internet(let address): address.text
    case .unixPath(let path): String(decoding: path, as: UTF8.self)
    case .other: "an address of another family"
    }
  }
}

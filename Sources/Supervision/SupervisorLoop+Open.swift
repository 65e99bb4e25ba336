import Authority
import Instructions
import Linux
import Objects

/// An open of a disk or device, resolved once: what was compared is what is opened.
final class OpenWork {
  /// O_PATH.
  let file: Descriptor
  let served: Served

  init(file: consuming Descriptor, served: Served) {
    self.file = consume file
    self.served = served
  }
}

extension SupervisorLoop {
  mutating func prepareOpen(_ notification: Notification, _ arguments: NotifiedCall.OpenArguments) throws(SystemError) {
    let files = supervisor.table.current.files
    // O_CREAT with O_EXCL, O_PATH, folders and the like: nothing that a grant could be about.
    guard !files.isEmpty else { return letThrough(notification.id) }
    let caller = try self.caller(notification.thread)
    var flags = OpenFlags(rawValue: arguments.flags)
    var rules: ResolveRules = []
    if let how = arguments.how {
      guard let read = try OpenHow(caller.thread, at: how.address, size: how.size) else {
        return letThrough(notification.id)
      }
      (flags, rules) = (read.flags, read.rules)
    }
    guard let served = OpenFlags.servable(flags) else { return letThrough(notification.id) }
    let path = try caller.thread.readString(at: arguments.path, limit: 4096)
    guard try supervisor.listener.isValid(notification.id) else { return supervisor.ledger.end(notification.id) }
    let surroundings = try PathSurroundings(
      tgid: caller.thread.tgid, tid: caller.thread.tid, directory: arguments.directory)
    let file = try surroundings.resolve(path, follow: served.follow, rules: rules)
    guard try supervisor.listener.isValid(notification.id) else { return supervisor.ledger.end(notification.id) }
    guard let identity = DeviceIdentity(of: file) else { return letThrough(notification.id) }
    let meant = files.filter { entry in entry.definition.path.flatMap { DeviceIdentity(path: $0) } == identity }
    guard !meant.isEmpty else { return letThrough(notification.id) }
    let candidates = meant.map {
      PreparedCall.Candidate(
        entry: $0,
        needed: $0.definition.operationsAsked(
          access: served.access == .readWrite ? .readWrite : .readOnly, writeOnly: served.access == .writeOnly),
        suffices: .all)
    }
    let isPermitted = try FilePermission.allows(file, served.access, to: caller.thread.facts())
    let told = told(
      notification, caller, candidates, opcode: served.access == .readOnly ? .read : .write,
      text: "open \(String(decoding: path, as: UTF8.self))", isPrivileged: !isPermitted)
    decide(
      PreparedCall(
        caller: caller, candidates: candidates, told: told, work: .open(OpenWork(file: file, served: served))))
  }

  /// Opens what was resolved, with no more access than was asked for and checked, and gives it to the program.
  func open(
    _ granted: consuming GrantedOperations, _ work: OpenWork, _ call: PreparedCall, _ candidate: PreparedCall.Candidate
  ) {
    let id = call.told.id
    do throws(SystemError) {
      let opened = try reopen(work, candidate)
      try tag(opened, call, candidate)
      _ = try supervisor.listener.inject(id, opened, closeOnExec: work.served.closeOnExec)
      supervisor.ledger.end(id)
    } catch {
      // As open(2) fails; never let through after a grant.
      answer(id, errno: error.errno)
    }
  }

  private func reopen(_ work: OpenWork, _ candidate: PreparedCall.Candidate) throws(SystemError) -> Descriptor {
    let opened: Descriptor
    do { opened = try PathSurroundings.reopen(work.file, as: work.served) } catch {
      // The program's own node lies on a file system without devices (mount(8) nodev): the policy's is the same device.
      guard error.errno == ErrorCode.accessDenied, let path = candidate.entry.definition.path else { throw error }
      let description = try work.file.fileDescription()
      opened = try PathSurroundings.reopen(devicePath: path, matching: description, as: work.served)
    }
    if case .bus(let bus) = candidate.entry.definition.specification, !bus.device.isEmbodied(by: opened) {
      throw SystemError(errno: ErrorCode.accessDenied, operation: "open")
    }
    return opened
  }
}

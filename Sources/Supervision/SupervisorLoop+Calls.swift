import Instructions
import Linux

extension SupervisorLoop {
  /// Decodes a notification: from registers and from one private copy of what they point to, taken before the check
  /// that its caller still waits, so that the copy is of that caller's memory.
  mutating func handle(_ notification: Notification) {
    // Not visible in our pid namespace: nobody we could judge.
    guard notification.thread > 0 else { return letThrough(notification.id) }
    do throws(SystemError) {
      switch NotifiedCall(notification) {
      case .bind: try prepareBind(notification)
      case .socket: try prepareSocket(notification)
      case .open(let arguments): try prepareOpen(notification, arguments)
      case nil: letThrough(notification.id)
      }
    } catch {
      // Unreadable memory, a process that cannot be looked at, a path that cannot be followed: undecidable, no grant.
      letThrough(notification.id)
    }
  }

  func told(
    _ notification: Notification, _ caller: Caller, _ candidates: [PreparedCall.Candidate], opcode: Opcode,
    operands: Operands = Operands(), text: String, isPrivileged: Bool
  ) -> SupervisedCall {
    SupervisedCall(
      supervisor: supervisor.id, id: notification.id, process: caller.thread.tgid, thread: caller.thread.tid,
      candidates: candidates.map {
        SupervisedCall.Candidate(object: $0.entry.id, operations: $0.suffices == .all ? $0.needed : [])
      }, opcode: opcode, operands: operands, text: text, isPrivileged: isPrivileged)
  }
}

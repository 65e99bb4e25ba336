import CLinux
import Glibc

/// The kernel's proc connector (linux/cn_proc.h): fork, exec and exit of every process, as they happen.
///
/// The kernel queues a fork before the child can run and an exec before the new program can (kernel/fork.c,
/// fs/exec.c), so events drained after a message was received are complete for its sender.
/// Needs CAP_NET_ADMIN in the initial user and pid namespace.
public struct ProcessEvents: ~Copyable, Sendable {
  public enum Event: Sendable, Hashable {
    case fork(parent: Int32, child: Int32)
    case exec(Int32)
    case exit(Int32)
    /// The kernel could not queue everything: nothing about descent is known any more.
    case lost
  }

  public let descriptor: Descriptor

  /// Listens. EOPNOTSUPP outside the initial user and pid namespaces: there the kernel takes the request and sends nothing,
  /// ever (drivers/connector/cn_proc.c), and silence would be taken for "nobody forked or executed".
  public init() throws(SystemError) {
    // PROC_PID_INIT_INO and PROC_USER_INIT_INO of linux/proc_ns.h.
    guard ProcessFacts.identity("/proc/self/ns/pid")?.inode == 0xEFFF_FFFC,
      ProcessFacts.identity("/proc/self/ns/user")?.inode == 0xEFFF_FFFD
    else { throw SystemError(errno: EOPNOTSUPP, operation: "proc connector") }
    descriptor = Descriptor(
      adopting: Int32(try retrying("proc connector") { Int(clinux_process_events_open()) }))
  }

  /// The next event without waiting, or nil where there is none.
  public borrowing func next() -> Event? {
    while true {
      var event = clinux_process_event()
      // SAFETY: the structure is ours and written by the call.
      let result = unsafe clinux_process_events_next(descriptor.rawValue, &event)
      if result == 0 { return nil }
      if result < 0 {
        if errno == EINTR { continue }
        return .lost
      }
      switch UInt32(event.kind) {
      case CLINUX_EVENT_FORK.rawValue: return .fork(parent: event.parent, child: event.tgid)
      case CLINUX_EVENT_EXEC.rawValue: return .exec(event.tgid)
      case CLINUX_EVENT_EXIT.rawValue: return .exit(event.tgid)
      default: continue
      }
    }
  }
}

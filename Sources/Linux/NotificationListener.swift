import CLinux
import Glibc

/// A system call that waits for a verdict (struct seccomp_notif of seccomp_unotify(2)).
public struct Notification: Sendable {
  /// Unique for the listener; consecutive.
  public var id: UInt64
  /// The calling thread in our pid namespace; 0: it is not visible there.
  public var thread: Int32
  /// AUDIT_ARCH_ of linux/audit.h; a system call's number means nothing without it.
  public var architecture: UInt32
  public var number: Int32
  /// The registers. A pointer among them leads to memory that the program can change at any time.
  public var arguments: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)
}

/// The listener of a filter with user notification (seccomp_unotify(2)): calls are received here and answered.
///
/// Several processes may hold one, the program's own among them. What any of them has received another one may answer
/// and exactly one answer counts; with the last holder gone every notified call fails with ENOSYS.
///
/// poll(2) and epoll(7) report `PollEvents.readable` while a notification waits, and `.hangUp`, unasked and for good,
/// once no task uses the filter any more (a zombie that nobody has waited for may still count).
public struct NotificationListener: ~Copyable, Sendable {
  /// What a receive came to.
  public enum Received: Sendable {
    case notification(Notification)
    /// The caller went away, or a signal took it out of its call, before it was received.
    case interrupted
    case wouldBlock
  }

  /// What an answer came to.
  public enum Answered: Sendable, Hashable {
    case delivered
    /// The call had ended (killed, or interrupted by a signal), or another holder has answered it. Nothing was done.
    case gone
  }

  public let descriptor: Descriptor

  /// Takes a listener over, whoever sent it; makes it close-on-exec and wakes synchronously where the kernel can.
  ///
  /// - Throws: EINVAL for any other descriptor, on which no call was made but readlink(2) of its name in proc(5).
  public init(_ descriptor: consuming Descriptor) throws(SystemError) {
    let fd = descriptor.rawValue
    guard Self.isListener(fd) else { throw SystemError(errno: EINVAL, operation: "seccomp listener") }
    _ = try retrying("fcntl(F_SETFD)") { Int(fcntl(fd, F_SETFD, FD_CLOEXEC)) }
    // That the kernel answers on it as it shall, and takes no notification. Ids begin at random: 0 may be one.
    _ = try Self.isValid(0, fd)
    // Only costs time where the kernel has it not.
    _ = clinux_seccomp_wake_synchronously(fd)
    self.descriptor = descriptor
  }

  /// Whether a descriptor that a stranger may have chosen is a listener; it is neither used nor closed.
  ///
  /// By the name: an ioctl on a file of a stranger's FUSE or CUSE server is answered by the stranger, or never. Files
  /// have a path there, or a name of another kernel facility's; nobody can choose this one.
  public static func isListener(_ number: Int32) -> Bool {
    (try? ProcFile.readLink("/proc/self/fd/\(number)")) == "anon_inode:seccomp notify"
  }

  /// A second holder of the same listener.
  public borrowing func duplicate() throws(SystemError) -> NotificationListener {
    try NotificationListener(try descriptor.duplicate())
  }

  /// Whether no task uses the filter any more: nothing will ever be received again.
  public var hasEnded: Bool {
    get throws(SystemError) {
      var entry = pollfd(fd: descriptor.rawValue, events: 0, revents: 0)
      // SAFETY: one entry is passed and counted.
      _ = try retrying("poll") { unsafe Int(poll(&entry, 1, 0)) }
      return entry.revents & Int16(POLLHUP) != 0
    }
  }

  /// Receives a notification without waiting; its caller then waits for an answer until it is killed.
  ///
  /// Where another holder takes the same notification at the same moment it may take 20 ms to find out. `wouldBlock` may
  /// be said although a notification waits, so the descriptor is to be polled level-triggered.
  ///
  /// - Parameter ledger: the kernel writes the notification there, so that it is known also where this process ends
  ///   before the call returns. It stands there until the next receive: `begin` it before, or answer it.
  public borrowing func receive(into ledger: borrowing NotificationLedger) throws(SystemError) -> Received {
    let fd = descriptor.rawValue
    // SAFETY: the ledger's mapping lives through the call.
    return try Self.received { raw in unsafe clinux_seccomp_receive(fd, ledger.memory, &raw) }
  }

  /// The same where poll(2) has just shown that a notification waits; takes 20 ms to find out where it was wrong.
  ///
  /// A timer of the calling thread's goes on ticking: `rest` is to be called when nothing comes for a while.
  public borrowing func take(into ledger: borrowing NotificationLedger) throws(SystemError) -> Received {
    let fd = descriptor.rawValue
    // SAFETY: as above.
    return try Self.received { raw in unsafe clinux_seccomp_take(fd, ledger.memory, &raw) }
  }

  /// Stops the calling thread's timer until the next `take`.
  public static func rest() { clinux_seccomp_rest() }

  /// Receives a notification without waiting, without a ledger; as above.
  public borrowing func receive() throws(SystemError) -> Received {
    let fd = descriptor.rawValue
    // SAFETY: no ledger is passed; the kernel writes into memory of the C side.
    return try Self.received { raw in unsafe clinux_seccomp_receive(fd, nil, &raw) }
  }

  /// The second half of `receive`, as where poll(2) had shown a notification that somebody else has taken since.
  borrowing func take() throws(SystemError) -> Received {
    defer { Self.rest() }
    let fd = descriptor.rawValue
    // SAFETY: as above.
    return try Self.received { raw in unsafe clinux_seccomp_take(fd, nil, &raw) }
  }

  private static func received(_ body: (inout clinux_notification) -> Int32) throws(SystemError) -> Received {
    var raw = clinux_notification()
    do {
      _ = try retrying("ioctl(SECCOMP_IOCTL_NOTIF_RECV)") { Int(body(&raw)) }
    } catch {
      switch error.errno {
      case EAGAIN: return .wouldBlock
      case ENOENT: return .interrupted
      default: throw error
      }
    }
    let arguments = raw.arguments
    return .notification(
      Notification(
        id: raw.id, thread: raw.thread, architecture: raw.architecture, number: raw.number, arguments: arguments))
  }

  /// Whether the call still waits for its answer: then its thread has been there, with this number, all the time since.
  public borrowing func isValid(_ id: UInt64) throws(SystemError) -> Bool {
    try Self.isValid(id, descriptor.rawValue)
  }

  private static func isValid(_ id: UInt64, _ fd: Int32) throws(SystemError) -> Bool {
    try answered("ioctl(SECCOMP_IOCTL_NOTIF_ID_VALID)") { Int(clinux_seccomp_is_valid(fd, id)) } == .delivered
  }

  /// The call returns `value`; the kernel does nothing.
  public borrowing func answer(_ id: UInt64, value: Int64) throws(SystemError) -> Answered {
    try send(id, value: value, error: 0, letThrough: false)
  }

  /// The call fails with this errno(3), a positive number; the kernel does nothing.
  public borrowing func fail(_ id: UInt64, errno: Int32) throws(SystemError) -> Answered {
    precondition(errno > 0, "an errno is positive")
    return try send(id, value: 0, error: errno, letThrough: false)
  }

  /// The kernel makes the call with its own checks, as if there were no filter.
  ///
  /// It reads the arguments anew: nothing that was looked at before may count as a check.
  public borrowing func letThrough(_ id: UInt64) throws(SystemError) -> Answered {
    try send(id, value: 0, error: 0, letThrough: true)
  }

  private borrowing func send(_ id: UInt64, value: Int64, error: Int32, letThrough: Bool) throws(SystemError)
    -> Answered
  {
    let fd = descriptor.rawValue
    return try Self.answered("ioctl(SECCOMP_IOCTL_NOTIF_SEND)") {
      Int(clinux_seccomp_answer(fd, id, value, error, letThrough ? 1 : 0))
    }
  }

  /// Puts a copy of a descriptor into the caller's table and answers with its number there, in one step.
  ///
  /// For a thread that blocks every signal, as `Thread` makes them: where a signal takes it out of the middle, the kernel
  /// answers the caller with the number 0 (seccomp_notify_addfd in kernel/seccomp.c).
  ///
  /// - Throws: EMFILE and the like where the caller's table has no room; the call then waits on, and is to be failed.
  public borrowing func inject(_ id: UInt64, _ descriptor: borrowing Descriptor, closeOnExec: Bool)
    throws(SystemError) -> Answered
  {
    let fd = self.descriptor.rawValue
    let injected = descriptor.rawValue
    return try Self.answered("ioctl(SECCOMP_IOCTL_NOTIF_ADDFD)") {
      Int(clinux_seccomp_inject(fd, id, injected, closeOnExec ? 1 : 0))
    }
  }

  private static func answered(_ operation: StaticString, _ body: () -> Int) throws(SystemError) -> Answered {
    do {
      _ = try retrying(operation) { body() }
      return .delivered
    } catch {
      switch error.errno {
      // EINPROGRESS: another holder has answered, or nobody has received it. ESRCH: killed while we injected.
      case ENOENT, EINPROGRESS, ESRCH: return .gone
      default: throw error
      }
    }
  }
}

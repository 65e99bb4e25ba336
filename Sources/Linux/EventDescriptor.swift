import CLinux
import Glibc

/// An eventfd(2): threads signal it, an epoll loop sees it.
public struct EventDescriptor: ~Copyable, Sendable {
  public let descriptor: Descriptor

  /// - Parameter semaphore: each wait takes one signal (EFD_SEMAPHORE), and waiting blocks.
  public init(initialValue: UInt32 = 0, semaphore: Bool = false) throws(SystemError) {
    let flags = EFD_CLOEXEC | (semaphore ? EFD_SEMAPHORE : EFD_NONBLOCK)
    descriptor = Descriptor(
      adopting: Int32(try retrying("eventfd") { Int(eventfd(initialValue, Int32(flags))) }))
  }

  private init(adopting descriptor: consuming Descriptor) { self.descriptor = descriptor }

  /// Another descriptor of the same event, for another owner.
  public borrowing func duplicate() throws(SystemError) -> EventDescriptor {
    EventDescriptor(adopting: try descriptor.duplicate())
  }

  /// Waits for one signal and takes it; of a semaphore.
  public borrowing func wait() {
    var value: eventfd_t = 0
    // SAFETY: eight bytes are written to eight bytes. EINTR: the caller looks whether there is work and waits again.
    _ = unsafe eventfd_read(descriptor.rawValue, &value)
  }

  /// Waits until it is signalled, at most `milliseconds` (nil: without an end), and takes what was signalled.
  public borrowing func wait(milliseconds: Int64?) {
    var request = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    let timeout = Int32(clamping: milliseconds ?? -1)
    // SAFETY: one structure of our own.
    _ = try? retrying("poll") { Int(unsafe poll(&request, 1, timeout)) }
    drain()
  }

  /// Makes it readable. Cannot fail short of 2^64 - 1 unread signals, which is readable all the same.
  public borrowing func signal() { _ = eventfd_write(descriptor.rawValue, 1) }

  /// Makes it unreadable again.
  public borrowing func drain() {
    var value: eventfd_t = 0
    // SAFETY: eight bytes are written to eight bytes.
    _ = unsafe eventfd_read(descriptor.rawValue, &value)
  }
}

/// A timerfd(2) on CLOCK_BOOTTIME, which also runs while the machine sleeps.
public struct TimerDescriptor: ~Copyable, Sendable {
  public let descriptor: Descriptor

  public init() throws(SystemError) {
    descriptor = Descriptor(
      adopting: Int32(try retrying("timerfd_create") { Int(clinux_boottime_timer()) }))
  }

  /// Fires once at `boottime` (nanoseconds; a time in the past fires at once); 0 disarms.
  public borrowing func arm(at boottime: UInt64) throws(SystemError) {
    let fd = descriptor.rawValue
    _ = try retrying("timerfd_settime") { Int(clinux_arm_timer(fd, boottime)) }
  }

  public borrowing func drain() {
    var expirations: UInt64 = 0
    // SAFETY: eight bytes are written to eight bytes.
    _ = unsafe read(descriptor.rawValue, &expirations, 8)
  }
}

/// A signalfd(2): the signals it names are blocked in the calling thread and read here.
public struct SignalDescriptor: ~Copyable, Sendable {
  public let descriptor: Descriptor

  /// Blocks `signals` in the calling thread (threads made later inherit that).
  public init(_ signals: [Int32]) throws(SystemError) {
    var set = sigset_t()
    // SAFETY: the set is ours; the calls only write and read it.
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    let code = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    guard code == 0 else { throw SystemError(errno: code, operation: "pthread_sigmask") }
    descriptor = Descriptor(
      adopting: Int32(
        try retrying("signalfd") {
          // SAFETY: as above.
          unsafe Int(signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK)))
        }))
  }

  /// The next pending signal, or nil.
  public borrowing func next() -> Int32? {
    var information = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    // SAFETY: the kernel writes whole structures of exactly this size.
    let count = unsafe read(descriptor.rawValue, &information, size)
    return count == size ? Int32(information.ssi_signo) : nil
  }
}

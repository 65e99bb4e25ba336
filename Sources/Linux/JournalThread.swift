import CLinux
import Glibc

/// A thread of its own, with every signal blocked; joined at the latest at the end of its handle's life.
public final class JournalThread: Sendable {
  private let handle: pthread_t

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Starts `run`; signals stay with the threads that ask for them (pthread_sigmask(3)).
  public init(_ run: @escaping @Sendable () -> Void) throws(SystemError) {
    let body = unsafe Unmanaged.passRetained(Body(run))
    var all = sigset_t()
    var before = sigset_t()
    var handle = pthread_t()
    // SAFETY: the sets and the handle are our own variables; the new thread inherits the full mask and takes over the
    // one reference to the body, which is released here if there is no thread.
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
    let result = unsafe pthread_create(
      &handle, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let body = unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        body.run()
        return nil
      }, body.toOpaque())
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
    if result != 0 { unsafe body.release() }
    guard result == 0 else { throw SystemError(errno: result, operation: "pthread_create") }
    self.handle = handle
  }

  deinit {
    if pthread_equal(handle, pthread_self()) != 0 {
      pthread_detach(handle)
    } else {
      // Joined exactly once, here; a thread that ends its own handle is detached instead.
      pthread_join(handle, nil)
    }
  }
}

/// Wakes a thread that waits for it; wake-ups that come before the wait let it pass at once.
public struct JournalSignal: ~Copyable, Sendable {
  private let descriptor: Descriptor

  public init() throws(SystemError) {
    descriptor = Descriptor(adopting: Int32(try retrying("eventfd") { Int(clinux_journal_eventfd()) }))
  }

  public borrowing func raise() {
    let number = descriptor.rawValue
    var one: UInt64 = 1
    // SAFETY: eight bytes of our own. EAGAIN: the counter is full, so the waiter is woken anyway (eventfd(2)).
    _ = try? retrying("write") { unsafe write(number, &one, 8) }
  }

  /// Waits until it is raised, at most `milliseconds` (nil: without an end), and takes what was raised.
  public borrowing func wait(milliseconds: Int64?) {
    let number = descriptor.rawValue
    var request = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    let timeout = Int32(clamping: milliseconds ?? -1)
    // SAFETY: one structure and eight bytes of our own. EAGAIN: the time was over first.
    _ = try? retrying("poll") { Int(unsafe poll(&request, 1, timeout)) }
    var count: UInt64 = 0
    _ = try? retrying("read") { unsafe read(number, &count, 8) }
  }
}

import CLinux
import Glibc

/// A thread of our own (pthreads(7)); its closure runs once.
public struct Thread: ~Copyable, Sendable {
  private let identifier: pthread_t

  /// Starts a thread with every signal blocked, so that signals reach the loop that reads them.
  public init(_ name: String, stackSize: Int = 1 << 20, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    final class Box: Sendable {
      let name: String
      let body: @Sendable () -> Void
      init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
      }
    }
    let box = unsafe Unmanaged.passRetained(Box(name: name, body: body))
    var all = sigset_t()
    var old = sigset_t()
    // SAFETY: both sets are ours.
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_SETMASK, &all, &old)
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    unsafe pthread_attr_setstacksize(&attributes, stackSize)
    var created = pthread_t()
    // SAFETY: the box was retained for exactly this one consumer.
    let code = unsafe pthread_create(
      &created, &attributes,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let box = unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
        unsafe clinux_name_thread(box.name)
        box.body()
        return nil
      }, box.toOpaque())
    unsafe pthread_attr_destroy(&attributes)
    unsafe pthread_sigmask(SIG_SETMASK, &old, nil)
    guard code == 0 else {
      unsafe box.release()
      throw SystemError(errno: code, operation: "pthread_create", path: name)
    }
    identifier = created
  }

  /// Gives the calling thread a descriptor table of its own, with those below 3 and `kept` in it, for the rest of its life.
  ///
  /// A thread that is held up inside the kernel keeps its whole table open after its process has ended. From here on a
  /// `Descriptor` that is opened or closed on this thread is one of this thread's only.
  public static func separateDescriptors(keeping kept: [Int32]) throws(SystemError) {
    let kept = kept.sorted()
    _ = try retrying("unshare(CLONE_FILES)") {
      // SAFETY: the array lives during the call and its size is passed.
      unsafe Int(clinux_thread_own_descriptors(kept, kept.count))
    }
  }

  /// Waits until its closure has returned.
  public consuming func join() {
    // Joined exactly once, because self is consumed.
    pthread_join(identifier, nil)
    discard self
  }

  deinit { pthread_detach(identifier) }
}

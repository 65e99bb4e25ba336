import CLinux
import Glibc
import Synchronization

/// A value behind a lock that no forked child finds locked, with a condition to wait on (pthread_atfork(3)).
///
/// Swift's `Mutex` alone would not do: on Linux it is a futex that holds a thread's number, and a child has none of its
/// parent's other threads. Here the fork waits until the lock is free, and the child makes it anew. So: hold it for a
/// few instructions only, never while blocked, and neither make nor drop another `ForkSafeLock` meanwhile.
public final class ForkSafeLock<Value: ~Copyable>: Sendable {
  /// Address of the C lock; the object owns it.
  private let address: UInt
  /// Only ever taken by the holder of the C lock, hence never contended: it gives the value its isolation.
  private let value: Mutex<Value>

  public init(_ initial: consuming sending Value) throws(SystemError) {
    // SAFETY: the C lock is freed in deinit only.
    guard let lock = unsafe clinux_fork_lock_create() else {
      throw SystemError(errno: ENOMEM, operation: "malloc")
    }
    address = UInt(bitPattern: lock)
    value = Mutex(initial)
  }

  deinit {
    // SAFETY: nobody can hold the lock of an object that nobody refers to.
    unsafe clinux_fork_lock_destroy(lock)
  }

  private var lock: OpaquePointer? {
    // SAFETY: `address` came from a pointer that is valid while self lives.
    unsafe OpaquePointer(bitPattern: address)
  }

  /// Calls `body` with the value, alone.
  public func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    // SAFETY: see `lock`.
    unsafe clinux_fork_lock_take(lock)
    defer { unsafe clinux_fork_lock_release(lock) }
    return try value.withLock(body)
  }

  /// Calls `body` with the value again after every `wake`, until it returns something.
  public func wait<Result, Failure: Error>(
    until body: (inout sending Value) throws(Failure) -> sending Result?
  ) throws(Failure) -> sending Result {
    // SAFETY: see `lock`.
    unsafe clinux_fork_lock_take(lock)
    defer { unsafe clinux_fork_lock_release(lock) }
    while true {
      if let result = try value.withLock(body) { return result }
      unsafe clinux_fork_lock_wait(lock)
    }
  }

  /// Has every waiter look at the value again.
  public func wake() {
    // SAFETY: see `lock`.
    unsafe clinux_fork_lock_wake(lock)
  }
}

import Instructions
import Linux
import Synchronization

/// Tries what handing over needs, on a thread that ends with it: a filter, a notification, an act on the caller's socket,
/// a call that is let through, and taking a socket back.
public enum HandoverTrial {
  private struct Results {
    var listener: Int32?
    var failure: SystemError?
    /// errno of the call that was acted on, and of the one that was let through.
    var acted: Int32?
    var passed: Int32?
  }

  private final class Shared: Sendable {
    let results = Mutex(Results())
    let progress: EventDescriptor
    init() throws(SystemError) { progress = try EventDescriptor() }
  }

  /// nil: it works. Else why not, for people. Must run before the process confines itself.
  public static func run() -> String? {
    do throws(SystemError) { return try attempt() } catch {
      return error.errno == ErrorCode.busy
        ? "a seccomp filter with a listener holds the broker itself; the kernel has room for one" : "\(error)"
    }
  }

  private static func attempt() throws(SystemError) -> String? {
    let shared = try Shared()
    let caller = try Thread("trial") { call(shared) }
    shared.progress.wait(milliseconds: 1000)
    let (number, failure) = shared.results.withLock { ($0.listener, $0.failure) }
    guard let number else {
      caller.join()
      throw failure ?? SystemError(errno: ErrorCode.inputOutput, operation: "seccomp")
    }
    let listener = try NotificationListener(Descriptor(adopting: number))
    var acted = false
    for turn in 0..<2 {
      _ = try Poll.wait(listener.descriptor.rawValue, shared.progress.descriptor.rawValue)
      guard case .notification(let notification) = try listener.receive() else { break }
      guard turn == 0 else {
        // Safe: nothing was granted for it, and it is our own thread's.
        _ = try listener.letThrough(notification.id)
        break
      }
      let thread = try NotifyingThread(tid: notification.thread)
      let length = Int(truncatingIfNeeded: notification.arguments.2 & 0xffff)
      let name = try thread.read(at: notification.arguments.1, count: length)
      let socket = try thread.fetch(Int32(truncatingIfNeeded: notification.arguments.0))
      try socket.bind(name: name)
      try socket.recallSocket()
      acted = try SocketDescription(of: socket).isFilterLocked
      _ = try listener.answer(notification.id, value: 0)
    }
    caller.join()
    let results = shared.results.withLock { $0 }
    guard results.acted == 0 else { return "a call that was acted on did not succeed" }
    guard let passed = results.passed, passed != 0 else { return "a call that was let through was not the kernel's" }
    return acted ? nil : "a socket could not be taken back"
  }

  /// Binds one socket twice: the kernel itself refuses the second.
  private static func call(_ shared: Shared) {
    do throws(SystemError) {
      let socket = try Descriptor.socket(.udp(.ipv4))
      let listener = try NotificationFilter.install(.bind).release()
      shared.results.withLock { $0.listener = listener }
      shared.progress.signal()
      // struct sockaddr_in: AF_INET, port 0, 127.0.0.1
      let loopback: [UInt8] = [2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
      let first = errno { () throws(SystemError) in try socket.bind(name: loopback) }
      shared.results.withLock { $0.acted = first }
      let second = errno { () throws(SystemError) in try socket.bind(name: loopback) }
      shared.results.withLock { $0.passed = second }
    } catch {
      shared.results.withLock { $0.failure = error }
      shared.progress.signal()
    }
  }

  private static func errno(_ body: () throws(SystemError) -> Void) -> Int32 {
    do { try body() } catch { return error.errno }
    return 0
  }
}

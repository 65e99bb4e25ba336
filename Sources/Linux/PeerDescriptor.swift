import CLinux
import Glibc
import Synchronization

/// A descriptor whose last reference a stranger may have prepared: it is closed on a thread of its own.
///
/// close(2) can block for as long as a peer likes: a TCP socket that lingers (SO_LINGER, socket(7)), a file of the
/// peer's own FUSE file system (its flush), and a unix socket with such descriptors in messages that nobody has read.
public struct PeerDescriptor: ~Copyable, Sendable {
  /// The number; valid while this value lives. Only for calls made during that time.
  public let rawValue: Int32

  public init(_ descriptor: consuming Descriptor) { rawValue = descriptor.release() }

  deinit { PeerDescriptor.close([rawValue]) }

  /// A second descriptor of the same open file description.
  public borrowing func duplicate() throws(SystemError) -> Descriptor {
    let number = rawValue
    return Descriptor(
      adopting: Int32(try retrying("fcntl(F_DUPFD_CLOEXEC)") { Int(fcntl(number, F_DUPFD_CLOEXEC, 0)) }))
  }

  /// Device and inode of the file, without asking the file system's server, which may be the stranger's (statx(2),
  /// AT_STATX_DONT_SYNC).
  public var identity: ProcessFacts.File? {
    var device: UInt64 = 0
    var inode: UInt64 = 0
    // SAFETY: both numbers are written by the call.
    guard unsafe clinux_cached_identity(rawValue, &device, &inode) == 0 else { return nil }
    return ProcessFacts.File(device: device, inode: inode)
  }

  /// Gives `numbers` away to be closed.
  static func close(_ numbers: [Int32]) {
    guard !numbers.isEmpty else { return }
    guard let closing = Closing.shared else { return Closing.closeHere(numbers) }
    closing.close(numbers)
  }
}

/// Threads that close descriptors of strangers: a new one as long as all others are held up, up to a bound.
final class Closing: Sendable {
  static let shared: Closing? = try? Closing()

  private struct State {
    var waiting: [Int32] = []
    var threads = 0
    var idle = 0
  }

  /// Each thread that is held up costs somebody a descriptor that lingers; beyond this they wait for each other.
  private static let bound = 64
  private let state = Mutex(State())
  private let work: EventDescriptor

  private init() throws(SystemError) { work = try EventDescriptor(semaphore: true) }

  func close(_ numbers: [Int32]) {
    let needsThread = state.withLock { state in
      state.waiting.append(contentsOf: numbers)
      guard state.idle == 0 || state.waiting.count > 64, state.threads < Closing.bound else { return false }
      state.threads += 1
      return true
    }
    work.signal()
    guard needsThread, (try? Thread("close", stackSize: 64 << 10, { [self] in run() })) == nil else { return }
    state.withLock { $0.threads -= 1 }
  }

  private func run() {
    while true {
      state.withLock { $0.idle += 1 }
      work.wait()
      let numbers = state.withLock { state in
        state.idle -= 1
        // A few at a time: whatever is held up holds up no more than these.
        let taken = Array(state.waiting.prefix(4))
        state.waiting.removeFirst(taken.count)
        if !state.waiting.isEmpty { work.signal() }
        return taken
      }
      Closing.closeHere(numbers)
    }
  }

  static func closeHere(_ numbers: [Int32]) { for number in numbers { _ = Descriptor(adopting: number) } }
}

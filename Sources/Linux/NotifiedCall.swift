import CSeccomp
import Glibc
import Instructions

/// Which of the notified system calls a notification is about, and where its arguments are.
public enum NotifiedCall: Sendable {
  case bind
  case socket
  case open(OpenArguments)

  /// The arguments of open, openat, openat2 and creat in one form; pointers are addresses in the caller's memory.
  public struct OpenArguments: Sendable, Hashable {
    /// A descriptor's number in the caller, or AT_FDCWD (-100).
    public var directory: Int32
    public var path: UInt64
    /// O_ flags; of openat2 they stand in `how`.
    public var flags: UInt64
    /// openat2: the `struct open_how` and its stated size.
    public var how: (address: UInt64, size: UInt64)? {
      howSize == 0 ? nil : (howAddress, howSize)
    }
    private var howAddress: UInt64 = 0
    private var howSize: UInt64 = 0

    init(directory: Int32, path: UInt64, flags: UInt64) {
      self.directory = directory
      self.path = path
      self.flags = flags
    }

    init(directory: Int32, path: UInt64, how: UInt64, size: UInt64) {
      self.init(directory: directory, path: path, flags: 0)
      howAddress = how
      howSize = size
    }
  }

  /// nil: none that the filter notifies, or another ABI's number.
  public init?(_ notification: Notification) {
    guard notification.architecture == Self.architecture else { return nil }
    let arguments = notification.arguments
    func int(_ register: UInt64) -> Int32 { Int32(truncatingIfNeeded: register) }
    // The kernel takes an int: what stands in the register's upper half is not looked at.
    func flags(_ register: UInt64) -> UInt64 { register & 0xffff_ffff }
    let current: Int32 = -100
    switch notification.number {
    case Self.numbers.bind: self = .bind
    case Self.numbers.socket: self = .socket
    case Self.numbers.openat:
      self = .open(OpenArguments(directory: int(arguments.0), path: arguments.1, flags: flags(arguments.2)))
    case Self.numbers.openat2:
      // A size of 0 is EINVAL in the kernel; so is one that is larger than a page and not zero beyond what it knows.
      guard arguments.3 > 0 else { return nil }
      self = .open(
        OpenArguments(directory: int(arguments.0), path: arguments.1, how: arguments.2, size: arguments.3))
    case Self.numbers.open where Self.numbers.open >= 0:
      self = .open(OpenArguments(directory: current, path: arguments.0, flags: flags(arguments.1)))
    case Self.numbers.creat where Self.numbers.creat >= 0:
      self = .open(
        OpenArguments(
          directory: current, path: arguments.0, flags: UInt64(UInt32(bitPattern: O_CREAT | O_WRONLY | O_TRUNC))))
    default: return nil
    }
  }

  private struct Numbers {
    var bind, socket, open, openat, openat2, creat: Int32
  }

  /// libseccomp numbers what the architecture does not have below 0.
  private static let numbers = Numbers(
    bind: number("bind"), socket: number("socket"), open: number("open"), openat: number("openat"),
    openat2: number("openat2"), creat: number("creat"))

  // SAFETY: the string lives through the call.
  private static func number(_ name: String) -> Int32 { unsafe seccomp_syscall_resolve_name(name) }

  private static let architecture = seccomp_arch_native()
}

import Glibc

/// An open file descriptor that belongs to exactly one owner, is close-on-exec, and is closed at the end of its life.
public struct Descriptor: ~Copyable, Sendable {
  /// The number; valid while this value lives. Only for calls made during that time.
  public let rawValue: Int32

  /// Takes ownership of `rawValue`, which must be open and close-on-exec.
  public init(adopting rawValue: Int32) {
    precondition(rawValue >= 0, "a descriptor is not negative")
    self.rawValue = rawValue
  }

  deinit {
    // close(2): on Linux the number is released even when EINTR is returned, so it is never retried.
    let result = Glibc.close(rawValue)
    precondition(result == 0 || errno != EBADF, "closed twice")
  }

  /// Gives the number away; the caller closes it.
  public consuming func release() -> Int32 {
    let number = rawValue
    discard self
    return number
  }

  /// A second descriptor of the same open file description, close-on-exec.
  public borrowing func duplicate() throws(SystemError) -> Descriptor {
    let number = rawValue
    return Descriptor(
      adopting: Int32(try retrying("fcntl(F_DUPFD_CLOEXEC)") { Int(fcntl(number, F_DUPFD_CLOEXEC, 0)) }))
  }
}

extension Optional where Wrapped == Descriptor {
  /// The number in a list, or an empty one: what a message takes as its descriptors. Valid while this value lives.
  public var numbers: [Int32] {
    switch self {
    case .some(let descriptor): [descriptor.rawValue]
    case .none: []
    }
  }
}

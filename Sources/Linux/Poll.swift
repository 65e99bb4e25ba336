import Glibc

/// poll(2) on two descriptors, for a thread that waits for work and for being told to end.
public enum Poll {
  public struct Ready: Sendable {
    public var firstReadable: Bool
    /// Hung up or broken: nothing will come any more.
    public var firstEnded: Bool
    public var second: Bool
  }

  /// Waits until either has something, or so long; -1: for ever.
  public static func wait(_ first: Int32, _ second: Int32, milliseconds: Int32 = -1) throws(SystemError) -> Ready {
    var entries = [
      pollfd(fd: first, events: Int16(POLLIN), revents: 0), pollfd(fd: second, events: Int16(POLLIN), revents: 0),
    ]
    // SAFETY: two entries are passed and counted.
    _ = try retrying("poll") { unsafe Int(poll(&entries, 2, milliseconds)) }
    let events = Int32(entries[0].revents)
    return Ready(
      firstReadable: events & POLLIN != 0, firstEnded: events & (POLLHUP | POLLERR | POLLNVAL) != 0,
      second: entries[1].revents != 0)
  }
}

import Glibc

/// The two clocks that Postern reads: boottime for expiry, wall time for people.
public enum Clock {
  /// Nanoseconds since boot, sleep included (CLOCK_BOOTTIME).
  public static func boottime() -> UInt64 { nanoseconds(CLOCK_BOOTTIME) }

  /// Nanoseconds since 1970-01-01 UTC (CLOCK_REALTIME).
  public static func wall() -> UInt64 { nanoseconds(CLOCK_REALTIME) }

  /// Nanoseconds of CLOCK_MONOTONIC, for measuring.
  public static func monotonic() -> UInt64 { nanoseconds(CLOCK_MONOTONIC) }

  private static func nanoseconds(_ clock: Int32) -> UInt64 {
    var time = timespec()
    // SAFETY: the structure is written by the call, which cannot fail for these clocks.
    unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

extension Clock {
  /// Waits, at least so long; for threads that nobody waits for.
  public static func sleep(nanoseconds: UInt64) {
    var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    var left = timespec()
    // SAFETY: both structures are ours.
    while unsafe nanosleep(&time, &left) != 0, errno == EINTR { time = left }
  }
}

import CLinux

/// How this process came to be, as the library's fork handlers saw it.
public enum ForkHandlers {
  /// Changes in each forked child: what was noted under another generation belongs to the parent.
  public static var generation: UInt64 { clinux_fork_generation() }

  /// True in a child of vfork(2) or of a bare clone(2): no handler ran, and memory may still be the parent's.
  public static var missedFork: Bool { clinux_fork_unseen() != 0 }
}

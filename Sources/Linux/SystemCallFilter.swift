import CSeccomp
import Glibc

/// A seccomp filter (libseccomp) that lets through the system calls it names and answers every other one with EPERM.
public struct SystemCallFilter: Sendable {
  /// Names as in syscalls(2). One that this machine's libseccomp or architecture does not know is left out: it stays denied.
  public var allowed: [String]
  /// Calls that pass with exactly this first argument.
  public var constrained: [(name: String, first: UInt64)]

  public init(allowed: [String], constrained: [(name: String, first: UInt64)] = []) {
    self.allowed = allowed
    self.constrained = constrained
  }

  /// Puts the filter on every thread of this process (SECCOMP_FILTER_FLAG_TSYNC), for good; needs no_new_privs or CAP_SYS_ADMIN.
  ///
  /// Calls of other architectures' ABIs end the process: nothing of ours makes any.
  public func install() throws(SystemError) {
    // SCMP_ACT_ERRNO(EPERM) (seccomp.h): a macro with an argument, which Swift does not import.
    let deny = UInt32(0x0005_0000) | UInt32(EPERM)
    let allow: UInt32 = 0x7fff_0000
    // SAFETY: the context is ours from init to release, and used on this thread only.
    guard let context = unsafe seccomp_init(deny) else {
      throw SystemError(errno: ENOMEM, operation: "seccomp_init")
    }
    defer { unsafe seccomp_release(context) }
    try check(unsafe seccomp_attr_set(context, SCMP_FLTATR_CTL_TSYNC, 1), "seccomp_attr_set")
    for name in allowed {
      let number = unsafe seccomp_syscall_resolve_name(name)
      guard number >= 0 else { continue }
      try check(unsafe seccomp_rule_add_array(context, allow, number, 0, nil), name)
    }
    for (name, first) in constrained {
      let number = unsafe seccomp_syscall_resolve_name(name)
      guard number >= 0 else { continue }
      let comparison = [scmp_arg_cmp(arg: 0, op: SCMP_CMP_EQ, datum_a: first, datum_b: 0)]
      // SAFETY: the array lives through the call and is passed with its count.
      try check(unsafe seccomp_rule_add_array(context, allow, number, 1, comparison), name)
    }
    try unsafe load(context)
  }

  /// A thread that has been joined can be in the kernel for a moment longer, and one that had a filter of its own cannot
  /// take this one (ECANCELED).
  private func load(_ context: scmp_filter_ctx) throws(SystemError) {
    // SAFETY: the caller owns the context.
    var result = unsafe seccomp_load(context)
    for _ in 0..<200 where result == -ECANCELED {
      Clock.sleep(nanoseconds: 5_000_000)
      result = unsafe seccomp_load(context)
    }
    try check(result, "seccomp_load")
  }

  /// libseccomp answers with a negative errno.
  private func check(_ result: Int32, _ operation: String) throws(SystemError) {
    if result < 0 { throw SystemError(errno: -result, operation: operation) }
  }
}

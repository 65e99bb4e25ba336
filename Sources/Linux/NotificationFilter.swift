import CLinux
import CSeccomp
import Glibc
import Instructions

/// The seccomp filter of a program that knows nothing of Postern: it notifies of a few system calls and allows all others.
///
/// What it does not notify of meets the kernel's own checks as ever: the filter adds ways to authority and takes none.
/// Calls of other architectures' ABIs (32-bit, x32) pass unnotified, and so do packet sockets that are asked for in the
/// obsolete way (AF_INET with SOCK_PACKET, packet(7)). See also `passed`.
public enum NotificationFilter {
  /// A test of one argument: the bits of `mask` are those of `value`.
  ///
  /// The masks stay within the lower half: the kernel takes these arguments as int, whatever the upper half holds.
  public struct Test: Sendable, Hashable {
    public var argument: UInt32
    public var mask: UInt64
    public var value: UInt64
  }

  /// A system call that is notified of where all of its tests hold.
  public struct Row: Sendable, Hashable {
    public var family: NotifiedCalls
    /// As in syscalls(2); an architecture that has no such call has no row for it.
    public var name: String
    public var condition: [Test]

    init(_ family: NotifiedCalls, _ name: String, _ condition: [Test] = []) {
      self.family = family
      self.name = name
      self.condition = condition
    }
  }

  /// What is notified of.
  public static let table: [Row] = [
    Row(.bind, "bind"),
    Row(.socket, "socket", [domain(AF_PACKET)]),
    Row(.socket, "socket", [domain(AF_INET), rawType]),
    Row(.socket, "socket", [domain(AF_INET6), rawType]),
    Row(.open, "open"),
    Row(.open, "openat"),
    Row(.open, "openat2"),
    Row(.open, "creat"),
  ]

  /// System calls that can open a file or bind a socket too and are not notified of, each with the reason.
  public static let passed: [(name: String, reason: String)] = [
    ("io_uring_enter", "requests on a ring are run by the kernel and meet no filter: a gap"),
    ("io_uring_setup", "a ring with a polling thread needs no further call: the same gap"),
    ("open_by_handle_at", "needs CAP_DAC_READ_SEARCH"),
    ("socketpair", "makes no socket of a family that has addresses to bind to, nor a raw one"),
    ("connect", "binds to a free port that needs no authority"),
    ("listen", "as connect"),
    ("sendto", "as connect"),
    ("sendmsg", "as connect"),
    ("sendmmsg", "as connect"),
    ("open_tree", "gives an O_PATH descriptor, with which nothing can be done to a device"),
    ("open_tree_attr", "as open_tree"),
    ("mq_open", "message queues are no objects"),
    ("pidfd_getfd", "needs ptrace access to who has opened it"),
    ("recvmsg", "receives what another process has opened"),
    ("recvmmsg", "as recvmsg"),
    ("bpf", "opens BPF objects only"),
    ("execve", "the kernel reads the program; the caller gets no descriptor"),
    ("execveat", "as execve"),
    ("uselib", "as execve; no kernel of ours has it"),
    ("mount", "needs CAP_SYS_ADMIN; the kernel opens the block device"),
    ("fsconfig", "as mount"),
    ("swapon", "as mount"),
    ("quotactl", "as mount"),
    ("acct", "needs CAP_SYS_PACCT; the kernel writes the file"),
    ("accept", "gives connections to a socket that was bound before"),
    ("accept4", "as accept"),
    ("ioctl", "opens what an open device leads to, the other end of a terminal for one"),
    ("fanotify_init", "gives descriptors only to who has CAP_SYS_ADMIN"),
  ]

  /// Puts the filter on the calling thread, for good; programs and threads that it starts inherit it.
  ///
  /// Sets no_new_privs first (prctl(2)), also where it then fails. From the return on the thread's own calls are
  /// notified of, too, and fail with ENOSYS once nobody holds the listener.
  ///
  /// - Returns: the listener, close-on-exec; make a `NotificationListener` of it where it is used.
  /// - Throws: EBUSY where the thread has a filter already whose listener somebody holds: the kernel has room for one.
  public static func install(_ calls: NotifiedCalls) throws(SystemError) -> Descriptor {
    let program = try program(calls)
    return Descriptor(
      adopting: Int32(
        try retrying("seccomp") {
          unsafe program.withUnsafeBytes { bytes in
            // SAFETY: the array's storage with its size; the kernel copies it.
            unsafe Int(clinux_seccomp_install(bytes.baseAddress, bytes.count))
          }
        }))
  }

  private static func domain(_ family: Int32) -> Test {
    Test(argument: 0, mask: 0xffff_ffff, value: UInt64(family))
  }

  /// SOCK_TYPE_MASK (linux/net.h): above it are SOCK_NONBLOCK and SOCK_CLOEXEC.
  private static let rawType = Test(argument: 1, mask: 0xf, value: UInt64(SOCK_RAW.rawValue))

  /// The filter as the kernel takes it (struct sock_filter).
  private static func program(_ calls: NotifiedCalls) throws(SystemError) -> [UInt8] {
    // SAFETY: the context is ours from init to release, and used on this thread only.
    guard let context = unsafe seccomp_init(SCMP_ACT_ALLOW) else {
      throw SystemError(errno: ENOMEM, operation: "seccomp_init")
    }
    defer { unsafe seccomp_release(context) }
    // Compared first. Left alone it would be KILL.
    try check(unsafe seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW), "seccomp_attr_set")
    for row in table where calls.contains(row.family) {
      let number = unsafe seccomp_syscall_resolve_name(row.name)
      guard number >= 0 else { continue }
      let tests = row.condition.map {
        scmp_arg_cmp(arg: $0.argument, op: SCMP_CMP_MASKED_EQ, datum_a: $0.mask, datum_b: $0.value)
      }
      // SAFETY: the array lives through the call and is passed with its count.
      try check(unsafe seccomp_rule_add_array(context, SCMP_ACT_NOTIFY, number, UInt32(tests.count), tests), row.name)
    }
    let file = Descriptor(
      adopting: Int32(
        try retrying("memfd_create") {
          // SAFETY: a literal.
          unsafe Int(clinux_memory_file("postern-filter"))
        }))
    try check(unsafe seccomp_export_bpf(context, file.rawValue), "seccomp_export_bpf")
    return try content(of: file)
  }

  private static func content(of file: borrowing Descriptor) throws(SystemError) -> [UInt8] {
    let number = file.rawValue
    var bytes = [UInt8](repeating: 0, count: Int(try file.status().size))
    let count = try retrying("pread") {
      unsafe bytes.withUnsafeMutableBytes { buffer in
        // SAFETY: the array's storage with its size.
        unsafe pread(number, buffer.baseAddress, buffer.count, 0)
      }
    }
    guard count == bytes.count else { throw SystemError(errno: EIO, operation: "pread", path: "filter") }
    return bytes
  }

  /// libseccomp answers with a negative errno.
  private static func check(_ result: Int32, _ operation: String) throws(SystemError) {
    if result < 0 { throw SystemError(errno: -result, operation: operation) }
  }
}

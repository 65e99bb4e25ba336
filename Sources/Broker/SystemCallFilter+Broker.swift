import Linux

extension SystemCallFilter {
  /// What the broker's threads need once they serve. Not among them: execve, ptrace, mount, bpf, kexec, module loading,
  /// keyrings, changing user and group ids, and everything that makes namespaces.
  static let broker = SystemCallFilter(allowed: calls, constrained: threads)

  /// The path direct: bpf(2) for its maps and links; ptrace(2) and wait4(2) for the barrier of a revoke.
  static let brokerOfKernel = SystemCallFilter(allowed: calls + ["bpf", "ptrace", "wait4"], constrained: threads)

  /// What holds applications' rings. Loop devices are made by ioctl; descriptors of applications are taken; a socket is recalled.
  static let hands = SystemCallFilter(allowed: [
    // The C library: fork, stdio for names, signals, and the end.
    "brk", "mmap", "munmap", "mprotect", "madvise", "futex", "clone", "clone3", "set_robust_list", "rseq", "gettid",
    "getpid", "exit", "exit_group", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall", "getrandom",
    "clock_gettime", "clock_nanosleep", "nanosleep", "wait4", "kill",
    // Orders, answers and results.
    "recvmsg", "sendmsg", "recvfrom", "sendto", "poll", "ppoll", "read", "write", "pipe2", "close",
    // Rings and what goes into them.
    "pidfd_getfd", "io_uring_register", "openat", "fstat", "newfstatat", "ioctl", "flock", "fcntl", "setsockopt",
    "getsockopt", "shutdown", "accept4", "membarrier", "fsync", "readlink", "readlinkat",
  ])

  // CLONE_FS, CLONE_FILES: a supervisor's thread has a working directory, file mode mask and descriptors of its own. No
  // namespaces.
  private static let threads: [(String, UInt64)] = [("unshare", 0x200), ("unshare", 0x400)]

  private static let calls: [String] = [
    // Memory, threads and clocks: the Swift runtime, malloc, pthreads. clone is for the effect threads and for the
    // thread that opens a socket in another network namespace.
    "brk", "mmap", "munmap", "mprotect", "mremap", "madvise", "futex", "clone", "clone3", "set_robust_list", "rseq",
    "set_tid_address", "exit", "exit_group", "sched_yield", "sched_getaffinity", "getrandom", "gettid", "getpid",
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "clock_gettime", "clock_getres",
    "clock_nanosleep", "nanosleep", "gettimeofday", "uname", "sysinfo", "prlimit64", "getrlimit", "umask",
    "membarrier",
    // prctl: thread names.
    "prctl",
    // Signals: signalfd, and abort() on a failed precondition.
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill", "signalfd4", "restart_syscall",
    // The loop.
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "poll", "ppoll", "eventfd2", "timerfd_create",
    "timerfd_settime", "read", "write", "close", "close_range", "dup", "dup3", "fcntl",
    // Channels, the control socket, brokered sockets, the proc connector, sd_notify, name service.
    "socket", "socketpair", "bind", "listen", "accept4", "accept", "connect", "shutdown", "sendmsg", "recvmsg",
    "sendmmsg", "recvmmsg", "sendto", "recvfrom", "getsockopt", "setsockopt", "getsockname", "getpeername",
    // network: PATH
    "setns",
    // Identity: pidfds and proc(5).
    "pidfd_open", "pidfd_send_signal", "openat", "open", "openat2", "readlink", "readlinkat", "stat", "lstat",
    "fstat",
    "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2", "getdents64", "lseek", "getcwd",
    // Disks and devices.
    "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "readv", "writev", "fsync", "fdatasync",
    "fallocate", "ftruncate", "ioctl",
    // The journal, and the names of sockets.
    "mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "flock", "chmod", "fchmod",
    "fchmodat",
    "sync_file_range",
    // The association table.
    "memfd_create",
    // Supervised programs: their memory, their sockets, and the timer that ends a receive which somebody else's took.
    "process_vm_readv", "pidfd_getfd", "kcmp", "timer_create", "timer_settime", "timer_delete",
    // Sockets that are made for them belong to them: fchown; setfsuid and the like are of the one thread that binds a
    // unix path, and raise nothing (no_new_privs, and the bounding set is what the policy needs).
    "fchown", "setfsuid", "setfsgid", "capget", "capset", "fchdir",
  ]
}

import CLinux
import Glibc

/// A capability by its number (capabilities(7)).
public enum Capability: UInt8, CaseIterable, Sendable, Hashable {
  case chown = 0
  case dacOverride = 1
  case dacReadSearch = 2
  case kill = 5
  case setgid = 6
  case setuid = 7
  case netBindService = 10
  case netAdmin = 12
  case netRaw = 13
  case sysRawio = 17
  case sysPtrace = 19
  case sysAdmin = 21
  case perfmon = 38
  case bpf = 39

  /// As capabilities(7) writes it.
  public var name: String {
    switch self {
    case .chown: "CAP_CHOWN"
    case .perfmon: "CAP_PERFMON"
    case .bpf: "CAP_BPF"
    case .setgid: "CAP_SETGID"
    case .setuid: "CAP_SETUID"
    case .dacOverride: "CAP_DAC_OVERRIDE"
    case .dacReadSearch: "CAP_DAC_READ_SEARCH"
    case .kill: "CAP_KILL"
    case .netBindService: "CAP_NET_BIND_SERVICE"
    case .netAdmin: "CAP_NET_ADMIN"
    case .netRaw: "CAP_NET_RAW"
    case .sysRawio: "CAP_SYS_RAWIO"
    case .sysPtrace: "CAP_SYS_PTRACE"
    case .sysAdmin: "CAP_SYS_ADMIN"
    }
  }
}

/// What the broker does to itself before it takes its first request.
public enum Confinement {
  /// No exec of ours gains privileges any more (prctl(2) PR_SET_NO_NEW_PRIVS).
  public static func noNewPrivileges() throws(SystemError) {
    _ = try retrying("prctl(PR_SET_NO_NEW_PRIVS)") { Int(clinux_no_new_privileges()) }
  }

  /// Lets the kernel kill others first where there is no memory (proc(5), oom_score_adj); false: it does not let us, and what
  /// we inherited stays.
  @discardableResult public static func avoidOutOfMemoryKiller() -> Bool {
    // SAFETY: the string lives during the call.
    let number = unsafe Glibc.open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
    guard number >= 0 else { return false }
    let file = Descriptor(adopting: number)
    let text: StaticString = "-900"
    // SAFETY: a constant of the program.
    return unsafe Glibc.write(file.rawValue, text.utf8Start, text.utf8CodeUnitCount) == text.utf8CodeUnitCount
  }

  /// No process of the same user may trace us, read our memory or take our descriptors (ptrace(2), PTRACE_MODE checks).
  public static func notDumpable() throws(SystemError) {
    _ = try retrying("prctl(PR_SET_DUMPABLE)") { Int(clinux_not_dumpable()) }
  }

  /// Gives up every capability that is not in `kept`, for good (libcap). Those we do not have are not gained.
  public static func limitCapabilities(to kept: Set<Capability>) throws(SystemError) {
    let effective = try effectiveCapabilities()
    let wanted = kept.reduce(into: UInt64(0)) { $0 |= 1 << UInt64($1.rawValue) }
    _ = try retrying("cap_set_proc") { Int(clinux_limit_capabilities(wanted & effective)) }
  }

  /// The effective set; bit N is capability N.
  public static func effectiveCapabilities() throws(SystemError) -> UInt64 {
    var mask: UInt64 = 0
    _ = try retrying("cap_get_proc") {
      // SAFETY: eight bytes are written to eight bytes.
      unsafe Int(clinux_effective_capabilities(&mask))
    }
    return mask
  }

  /// Raises the soft limit of descriptors to the hard one and returns it.
  public static func raiseDescriptorLimit() throws(SystemError) -> UInt64 {
    var limit: UInt64 = 0
    _ = try retrying("setrlimit(RLIMIT_NOFILE)") {
      // SAFETY: as above.
      unsafe Int(clinux_raise_descriptor_limit(&limit))
    }
    return limit
  }

  /// Tells the service manager (sd_notify(3)); nothing happens where there is none.
  public static func notify(_ state: String) throws(SystemError) {
    _ = try retrying("sd_notify") {
      // SAFETY: the string lives during the call.
      unsafe Int(clinux_notify(state))
    }
  }

  public static var effectiveUID: UInt32 { geteuid() }
  public static var processID: Int32 { getpid() }
}

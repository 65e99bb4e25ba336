import Linux

/// Why the path direct does not work here, in words that a person can act on.
enum DirectObstacle: Error, Sendable, Hashable {
  case notRoot
  /// No grant of the policy could use it.
  case notWanted
  case failed(String)

  /// Looked into now: a broker that has confined itself cannot try any more what the kernel lets in.
  init(_ failure: DirectKernel.Failure) {
    self = .failed(Self.text(failure, modules: Self.securityModules, inTheWay: DirectKernel.obstacle))
  }

  /// The kernel loads and attaches programs, and never asks one.
  static var asksNoPrograms: Bool { securityModules.map { !asksPrograms($0) } ?? false }

  /// As the kernel lists them; nil: it cannot be read.
  private static var securityModules: String? {
    (try? ProcFile.read("/sys/kernel/security/lsm", limit: 256)).map { String(decoding: $0, as: UTF8.self) }
  }

  private static func asksPrograms(_ modules: String) -> Bool { modules.split(separator: ",").contains("bpf") }

  var text: String {
    switch self {
    case .notRoot: "only a broker that runs as root can load the kernel's programs"
    case .notWanted: "no grant of the policy says `path: direct` or `path: any`, so nothing was loaded"
    case .failed(let text): text
    }
  }

  /// - Parameters:
  ///   - modules: the kernel's security modules.
  ///   - inTheWay: what keeps it from loading any program.
  static func text(
    _ failure: DirectKernel.Failure, modules: String?, inTheWay obstacle: () -> DirectKernel.Failure?
  ) -> String {
    let error = SystemError.symbol(of: failure.errno)
    switch failure.stage {
    case .library: return "\(failure.detail): install libbpf (Debian: apt-get install libbpf1)"
    case .object:
      return
        "the kernel programs cannot be read (\(error)): \(failure.detail); `make build` or `make install` makes them"
    case .pins:
      return "the folder for pinned programs cannot be used (\(error)): \(failure.detail); "
        + "mount -t bpf bpf /sys/fs/bpf"
    case .claim where failure.errno == ErrorCode.busy: return "another broker that runs has the kernel's programs"
    case .claim:
      return "the kernel's programs do not let this process take them over (\(error)): it lacks CAP_SYS_ADMIN"
    case .layout:
      return "another version of Postern has left its maps pinned: `postern doctor --unload` as root removes them, and "
        + "with them what its programs enforce"
    case .load, .attach, .trial: return kernelText(failure, error, modules, obstacle)
    }
  }

  /// Whether the kernel could do it at all says more than the errno of one program.
  private static func kernelText(
    _ failure: DirectKernel.Failure, _ error: String, _ modules: String?, _ obstacle: () -> DirectKernel.Failure?
  ) -> String {
    let tried = "the kernel's programs were tried, and \(failure.detail) (\(error))"
    guard let modules else {
      return (failure.stage == .trial ? tried : "loading was refused (\(error), \(failure.detail))")
        + "; /sys/kernel/security/lsm cannot be read: mount -t securityfs securityfs /sys/kernel/security"
    }
    // Such a kernel loads and attaches them all the same, and they come to light at the trial.
    if !asksPrograms(modules) {
      return "`bpf` is not among the kernel's security modules (\(modules)): boot with lsm=\(modules),bpf"
    }
    if failure.stage == .trial { return tried }
    if let obstacle = obstacle() {
      return "the kernel has BPF LSM and refuses its programs: loading \(obstacle.detail) fails with "
        + "\(SystemError.symbol(of: obstacle.errno)); a hypervisor, a lockdown mode or a missing capability forbids it"
    }
    return "the kernel takes LSM programs, but not these (\(error), \(failure.detail))"
  }
}

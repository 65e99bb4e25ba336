import Linux

/// Why the path direct does not work here, in words that a person can act on.
enum DirectObstacle: Error, Sendable, Hashable {
  case notRoot
  /// No grant of the policy could use it.
  case notWanted
  case failed(String)

  /// Looked into now: a broker that has confined itself cannot try any more what the kernel lets in.
  init(_ failure: DirectKernel.Failure) { self = .failed(Self.text(failure)) }

  var text: String {
    switch self {
    case .notRoot: "only a broker that runs as root can load the kernel's programs"
    case .notWanted: "no grant of the policy says `path: direct` or `path: any`, so nothing was loaded"
    case .failed(let text): text
    }
  }

  private static func text(_ failure: DirectKernel.Failure) -> String {
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
    case .load, .attach: return kernelText(failure, error)
    case .trial: return "the kernel's programs were tried, and \(failure.detail) (\(error))"
    }
  }

  /// Whether the kernel could do it at all says more than the errno of one program.
  private static func kernelText(_ failure: DirectKernel.Failure, _ error: String) -> String {
    let modules = (try? ProcFile.read("/sys/kernel/security/lsm", limit: 256)).map {
      String(decoding: $0, as: UTF8.self)
    }
    guard let modules else {
      return "loading was refused (\(error), \(failure.detail)); /sys/kernel/security/lsm cannot be read: "
        + "mount -t securityfs securityfs /sys/kernel/security"
    }
    if !modules.split(separator: ",").contains("bpf") {
      return "`bpf` is not among the kernel's security modules (\(modules)): boot with lsm=\(modules),bpf"
    }
    if let obstacle = DirectKernel.obstacle() {
      return "the kernel has BPF LSM and refuses its programs: loading \(obstacle.detail) fails with "
        + "\(SystemError.symbol(of: obstacle.errno)); a hypervisor, a lockdown mode or a missing capability forbids it"
    }
    return "the kernel takes LSM programs, but not these (\(error), \(failure.detail))"
  }
}

import Glibc
import Testing

@testable import Broker
@testable import Linux

/// What `postern doctor` says of the path direct where the kernel's programs did not come to work.
@Suite struct DirectObstacleTests {
  private let trial = DirectKernel.Failure(
    stage: .trial, errno: EPROTO, detail: "a call that was not granted was not refused")
  private let load = DirectKernel.Failure(stage: .load, errno: EPERM, detail: "the programs of this version")
  private let probe = DirectKernel.Failure(stage: .load, errno: EPERM, detail: "a program of type LSM")

  private func text(
    _ failure: DirectKernel.Failure, _ modules: String?, probe: DirectKernel.Failure? = nil
  ) -> String {
    DirectObstacle.text(failure, modules: modules) { probe }
  }

  @Test func `a failed trial on a kernel that asks no programs names the boot parameter`() {
    #expect(
      text(trial, "capability,landlock,lockdown,yama")
        == "`bpf` is not among the kernel's security modules (capability,landlock,lockdown,yama): "
        + "boot with lsm=capability,landlock,lockdown,yama,bpf")
  }

  @Test func `and so do programs that could not be loaded or attached`() {
    let attach = DirectKernel.Failure(stage: .attach, errno: EINVAL, detail: "direct_guard_map")
    for failure in [load, attach] { #expect(text(failure, "yama").hasSuffix("boot with lsm=yama,bpf")) }
  }

  @Test func `a module whose name has bpf in it is another one`() {
    #expect(text(trial, "capability,bpfilter").contains("boot with lsm=capability,bpfilter,bpf"))
  }

  @Test func `a failed trial on a kernel that asks programs is what it is`() {
    #expect(
      text(trial, "capability,bpf", probe: probe)
        == "the kernel's programs were tried, and a call that was not granted was not refused (EPROTO)")
  }

  @Test func `where the modules cannot be read both is said`() {
    let securityfs = "; /sys/kernel/security/lsm cannot be read: mount -t securityfs securityfs /sys/kernel/security"
    #expect(
      text(trial, nil)
        == "the kernel's programs were tried, and a call that was not granted was not refused (EPROTO)" + securityfs)
    #expect(text(load, nil) == "loading was refused (EPERM, the programs of this version)" + securityfs)
  }

  @Test func `a kernel that lets no program in is told from one that refuses these`() {
    #expect(text(load, "bpf", probe: probe).contains("refuses its programs: loading a program of type LSM fails"))
    #expect(text(load, "bpf") == "the kernel takes LSM programs, but not these (EPERM, the programs of this version)")
  }
}

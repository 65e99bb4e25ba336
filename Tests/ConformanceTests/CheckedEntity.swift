import Authority
import Entity
import Foundation
import Instructions
import Linux
import Synchronization
import TestSupport

/// The kernel's side of the path direct: maps and the program that checks as a hook would, without the hooks, which most
/// kernels refuse. Needs root.
enum KernelTier {
  /// POSTERN_TEST_KERNEL_PROGRAMS, else where `packaging/build-kernel-programs` puts them for a build.
  static let programs =
    ProcessInfo.processInfo.environment["POSTERN_TEST_KERNEL_PROGRAMS"]
    ?? URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../.build/debug/postern.bpf.o").path

  static let isThere: Bool = {
    if Tier.isRequired { return true }
    do {
      _ = try load()
      return true
    } catch {
      print("\(missing): \(error)")
      return false
    }
  }()

  static let missing = "SKIPPED: the entity in the kernel is NOT compared with the table: its maps cannot be loaded"

  /// Small, so that a test fills it and a machine has room for many.
  static func load(
    _ capacity: DirectKernel.Capacity = DirectKernel.Capacity(objects: 64, records: 256, limits: 64, applications: 16)
  ) throws -> DirectKernel {
    try DirectKernel(objectFile: programs, pins: nil, capacity: capacity)
  }

  /// As after loading: loading again would take most of a test's time.
  static func clear(_ kernel: DirectKernel) throws {
    for found in kernel.records() { try kernel.release(found.number) }
    for number in 0..<kernel.capacity.objects { try kernel.forgetObject(ObjectID(rawValue: number)) }
  }

  /// How the kernel of these tests names a process: nothing of it is what the table says.
  static func name(of process: ProcessResource) -> ProcessResource {
    ProcessResource(
      tgid: process.tgid &+ 100_000, start: process.start &* 10_000_000 &+ 7, execEpoch: process.execEpoch &+ 3)
  }
}

/// Whether the processes of a test can be named: as long as they live.
final class Names: Sendable {
  private let lost = Mutex(false)

  var areLost: Bool {
    get { lost.withLock { $0 } }
    set { lost.withLock { $0 = newValue } }
  }

  func find(_ process: ProcessResource) throws(SystemError) -> ProcessResource {
    if areLost { throw SystemError(errno: 3, operation: "name a process") }
    return KernelTier.name(of: process)
  }
}

/// An entity under test, and the table that decides in it.
struct CheckedEntity {
  let entity: any AuthorizationEntity
  let table: SimulatedEntity
  /// nil: there is the table only.
  let kernel: BPFEntity?

  init(_ table: SimulatedEntity) {
    entity = table
    self.table = table
    kernel = nil
  }

  init(_ table: SimulatedEntity, _ direct: DirectKernel, _ names: Names = Names()) {
    let made = BPFEntity(table, kernel: direct, scope: .everything) { (process) throws(SystemError) in
      try names.find(process)
    }
    entity = made
    self.table = table
    kernel = made
  }

  /// What the asker could not look up, no kernel is asked about.
  func check(
    _ instruction: Instruction, issuer: Issuer, now: UInt64, visible: Bool, failed: FailedLookups
  ) -> Decision {
    guard failed.isEmpty else {
      return table.check(instruction, issuer: issuer, now: now, visible: visible, failed: failed)
    }
    return entity.check(instruction, issuer: issuer, now: now, visible: visible)
  }

  /// What the kernel itself answers; nil: granted.
  func ask(_ instruction: Instruction, _ process: ProcessResource, now: UInt64) throws -> Reason? {
    guard let kernel else { return nil }
    return try kernel.kernel.ask(instruction, process: KernelTier.name(of: process), now: now)
  }
}

import Authority
import Entity
import Foundation
import Instructions
import Linux
import TestSupport
import Testing

/// The same life in a table alone and in one whose records the kernel has: what they answer, and what the kernel itself
/// answers, must agree after every step.
@Suite(.enabled(if: KernelTier.isThere, "\(KernelTier.missing)"))
struct DifferentialTests {
  @Test func `the kernel answers as the table does, whatever has happened`() throws {
    let seed = testSeed()
    print("differential seed: \(seed)")
    for life in 0..<(Tier.isSoak ? 200 : 2) as Range<UInt64> {
      var life = try TwoEntities(seed: seed &+ life, capacity: .roomy)
      try life.live(steps: 1000)
      let told: [Reason?] = [nil, .noSuchObject, .stale, .revoked, .notAssociated, .expired, .operation, .limit]
      #expect(life.kept > 1000, "seed \(seed): \(life.kept) verdicts were kept")
      #expect(life.inherited > 10, "seed \(seed): hooks gave \(life.inherited)")
      for reason in told { #expect(life.answers[reason, default: 0] > 50, "seed \(seed): \(life.answers)") }
    }
  }

  @Test func `the kernel answers as the table does, when its maps are full`() throws {
    let seed = testSeed()
    print("differential seed, full maps: \(seed)")
    for life in 0..<(Tier.isSoak ? 100 : 1) as Range<UInt64> {
      var life = try TwoEntities(seed: seed &+ life, capacity: .tight)
      try life.live(steps: 1000)
      #expect(life.refusedForWantOfRoom > 0, "seed \(seed): the maps were never full")
    }
  }
}

extension DirectKernel.Capacity {
  static let roomy = DirectKernel.Capacity(objects: 8, records: 200, limits: 64, applications: 8)
  static let tight = DirectKernel.Capacity(objects: 4, records: 10, limits: 5, applications: 8)
}

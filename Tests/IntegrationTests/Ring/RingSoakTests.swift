import Foundation
import Glibc
import Linux
import TestSupport
import Testing

/// Ten minutes with POSTERN_SOAK, else a hundredth: 64 clients (Tests/Programs/LifeCycle/library-ring-crowd.c) open, use, fork,
/// execute themselves and are killed, while what they have is revoked and granted again.
@Suite(.serialized, .enabled(if: Tier.rings, "rings of others need root")) struct RingSoakTests {
  /// What a scene's broker, and the process that holds rings for it, have now.
  private struct Footprint: CustomStringConvertible {
    var descriptors: Int
    var forkerDescriptors: Int
    var memory: Int
    var forkerMemory: Int
    var hands: Int
    var loopDevices: Int

    init(_ scene: Scene) throws {
      let holders = try scene.ringHolders()
      descriptors = scene.descriptorCount
      forkerDescriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(holders.forker)/fd").count
      memory = scene.memory
      forkerMemory = RunningBroker.memory(of: holders.forker)
      hands = holders.hands.count
      loopDevices = try scene.loopDevices()
    }

    var description: String {
      """
      descriptors \(descriptors) + \(forkerDescriptors), memory \(memory) + \(forkerMemory) KiB, \(hands) hands, \
      \(loopDevices) loop devices
      """
    }
  }

  private static let objects = ["image", "dns", "web", "local"]

  /// Takes something back at random, and lets it be opened again. Gives what was said of what could not be recalled.
  private func revoke(_ scene: Scene, _ generator: inout SplitMix) throws -> (recalled: Int, others: [String]) {
    let object = Self.objects.randomElement(using: &generator) ?? "image"
    let one = try scene.associations().randomElement(using: &generator)
    let selectors =
      switch (Int.random(in: 0..<4, using: &generator), one) {
      case (0, let one?): ["--association", "\(one.id)"]
      case (1, let one?): ["--pid", "\(one.pid)"]
      case (2, _): ["--object", object]
      default: ["--application", "app"]
      }
    let revoked = try scene.postern(["revoke", "--timeout", "10"] + selectors)
    let rows = revoked.output.split(separator: "\n").dropFirst().map(String.init)
    #expect(try scene.postern("reload").status == 0)
    let others = rows.filter { !$0.hasSuffix(" recalled") }
    if revoked.status != 0 && others.isEmpty { return (rows.count, [revoked.errors]) }
    return (rows.count - others.count, others)
  }

  /// 0, or the number of one that does not hold however often it is looked at: the broker may be stopped within a change, which
  /// is half made then.
  private func brokenInvariant(_ scene: Scene) throws -> Int32 {
    for _ in 0..<3 where try scene.table({ $0.validate() }) == 0 { return 0 }
    return try scene.table { $0.validate() }
  }

  @Test func `a crowd that opens, uses, forks, executes, is revoked and killed leaves nothing behind`() throws {
    let seconds = Tier.isSoak ? 600 : 6
    var generator = SplitMix.seeded()
    let seed = generator.state
    try Scene.run(RingPolicies.crowd) { scene in
      let before = try Footprint(scene)
      var warm: Footprint?
      var revokes = 0
      var recalled = 0
      var others: [String] = []
      let start = Date()
      let crowd = try scene.start(
        "library-ring-crowd", arguments: ["\(seed)", scene.address, scene.folder, "64", "\(seconds)"])
      while Date() < start.addingTimeInterval(Double(seconds)) {
        usleep(.random(in: 0..<400_000, using: &generator))
        let said = try revoke(scene, &generator)
        revokes += 1
        recalled += said.recalled
        others += said.others
        #expect(try brokenInvariant(scene) == 0, "seed \(seed)")
        if warm == nil, Date() > start.addingTimeInterval(Double(seconds) / 5) { warm = try Footprint(scene) }
      }
      let counts = crowd.heard()
      #expect(try eventually(within: 30) { try scene.associations().isEmpty }, "seed \(seed)")
      let isGone = try eventually(within: 30) {
        let now = try Footprint(scene)
        return now.hands == 0 && now.loopDevices == 0 && now.descriptors <= before.descriptors
      }
      let after = try Footprint(scene)
      let left = try scene.table { table in (table.validate(), table.statistics()) }
      let report = """
        seed \(seed): \(revokes) revokes of \(recalled) associations; \
        opens, refusals, uses, forks, execs, kills, strange: \(counts)
        before: \(before)
        warm: \(warm.map(\.description) ?? "-")
        after: \(after)
        table: \(left)
        not recalled: \(others)
        """
      if Tier.isSoak { print(report) }
      #expect(isGone, "\(report)")
      #expect(left.0 == 0, "\(report)")
      #expect(left.1.live + left.1.tombstones + left.1.processes + left.1.limits == 0, "\(report)")
      #expect(after.forkerDescriptors == before.forkerDescriptors, "\(report)")
      // KiB
      #expect(after.memory - (warm?.memory ?? 0) < 8 << 10, "\(report)")
      #expect(after.forkerMemory - before.forkerMemory < 1 << 10, "\(report)")
      #expect(others.isEmpty, "\(report)")
      let numbers = counts.split(separator: " ").prefix(7).compactMap { Int($0) }
      #expect(numbers.count == 7 && numbers.prefix(6).allSatisfy { $0 > 0 } && numbers.last == 0, "\(report)")
    }
  }
}

import TestSupport
import Testing

/// Revokes while a program submits as fast as it can (Tests/Programs/LifeCycle/library-ring-race.c): a thousand, and a million
/// attempts, with POSTERN_SOAK; else a hundredth.
@Suite(.serialized, .enabled(if: Tier.rings, "rings of others need root")) struct RingRaceTests {
  private struct Count {
    var attempts, successes, late, revokes: Int
  }

  private func race(_ object: String, _ operations: String, _ kind: String, port: Int, _ how: String...) throws -> Count
  {
    var count = Count(attempts: 0, successes: 0, late: -1, revokes: 0)
    // The twin's requests keep its socket, and with it the port.
    let rounds = how == ["twin"] ? 1 : Tier.isSoak ? 1000 : 10
    try Scene.run(RingPolicies.own) { scene in
      let result = try Command.run(
        [
          try Programs.path("library-ring-race"), scene.socket, try Programs.path("postern"), object, "app", operations,
          kind, scene.address, "\(port)", "\(rounds)", "\(rounds * 1000)",
        ] + how)
      let numbers = result.output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
      guard result.status == 0, numbers.count == 4 else {
        throw HarnessFailure(description: "\(result.status): \(result.output)\(result.errors)")
      }
      count = Count(attempts: numbers[0], successes: numbers[1], late: numbers[2], revokes: numbers[3])
    }
    if Tier.isSoak { print(object, how, count) }
    return count
  }

  @Test func `no read of a disk succeeds after its revoke has returned`() throws {
    let count = try race("image", "read", "disk", port: 1)
    #expect(count.late == 0 && count.successes > 0 && count.revokes >= 10, "\(count)")
  }

  @Test func `no receive succeeds after its revoke has returned, blocked, polled or in a worker`() throws {
    let count = try race("dns", "receive", "udp", port: 7777)
    #expect(count.late == 0 && count.successes > 0 && count.revokes >= 10, "\(count)")
  }

  @Test func `no multishot accept succeeds after its revoke has returned`() throws {
    let count = try race("web", "listen,accept", "tcp", port: 7778)
    #expect(count.late == 0 && count.successes > 0 && count.revokes >= 10, "\(count)")
  }

  @Test func `a program that holds the ring's lock has no success after the revoke either`() throws {
    let count = try race("image", "read", "disk", port: 1, "hold")
    #expect(count.late == 0 && count.successes > 0 && count.revokes >= 10, "\(count)")
  }

  @Test(arguments: ["udp", "tcp"]) func `with emptied slots alone something succeeds late`(_ kind: String) throws {
    // What is late is so by a moment: a run may have none.
    var late = 0
    for _ in 0..<20 where late == 0 { late = try race("web", "x", kind, port: 7780, "twin").late }
    #expect(late > 0)
  }
}

import TestSupport
import Testing

/// Revokes while a program submits as fast as it can (Tests/Programs/LifeCycle/library-ring-race.c): a thousand, and a million
/// attempts, with POSTERN_SOAK; else a hundredth.
@Suite(.serialized, .enabled(if: Tier.rings, "rings of others need root")) struct RingRaceTests {
  private struct Count {
    var attempts, successes, late, revokes, held: Int
  }

  private func race(_ object: String, _ operations: String, _ kind: String, port: Int, _ how: String...) throws -> Count
  {
    var count = Count(attempts: 0, successes: 0, late: -1, revokes: 0, held: 0)
    // The twin's requests keep its socket, and with it the port.
    let rounds = how == ["twin"] ? 1 : Tier.isSoak ? 1000 : 10
    try Scene.run(RingPolicies.own) { scene in
      let result = try Command.run(
        [
          try Programs.path("library-ring-race"), scene.socket, try Programs.path("postern"), object, "app", operations,
          kind, scene.address, "\(port)", "\(rounds)", "\(rounds * 1000)",
        ] + how)
      let numbers = result.output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
      guard result.status == 0, numbers.count == 5 else {
        throw HarnessFailure(description: "\(result.status): \(result.output)\(result.errors)")
      }
      count = Count(
        attempts: numbers[0], successes: numbers[1], late: numbers[2], revokes: numbers[3], held: numbers[4])
    }
    if Tier.isSoak { print(object, how, count) }
    return count
  }

  private func expectNothingLate(_ count: Count) {
    #expect(count.late == 0 && count.successes > 0 && count.revokes >= 10, "\(count)")
    #expect(count.attempts >= count.revokes * 1000, "\(count)")
  }

  private static let kinds = [
    ("image", "read", "disk", 1), ("dns", "receive", "udp", 7777), ("web", "listen,accept", "tcp", 7778),
  ]

  /// Reads; receives that are blocked, armed with a poll and in a worker; multishot accepts; polls of the sockets.
  @Test(arguments: kinds)
  func `nothing succeeds after its revoke has returned`(
    _ object: String, _ operations: String, _ kind: String, _ port: Int
  ) throws {
    expectNothingLate(try race(object, operations, kind, port: port))
  }

  @Test(arguments: kinds)
  func `a program that holds the ring's lock has no success after the revoke either`(
    _ object: String, _ operations: String, _ kind: String, _ port: Int
  ) throws {
    let count = try race(object, operations, kind, port: port, "hold")
    expectNothingLate(count)
    #expect(count.held > 0, "\(count)")
  }

  @Test(arguments: ["udp", "tcp"]) func `with emptied slots alone something succeeds late`(_ kind: String) throws {
    // What is late is so by a moment: a run may have none.
    var late = 0
    for _ in 0..<20 where late == 0 { late = try race("web", "x", kind, port: 7780, "twin").late }
    #expect(late > 0)
  }
}

import Analysis
import Audit
import Foundation
import TestSupport
import Testing

@testable import AnalysisDatabase

@Suite struct RandomStreamTests {
  @Test(arguments: Backend.allCases)
  func `whatever comes in whatever portions, the tables are what the records come to`(_ backend: Backend) throws {
    let seed = testSeed("random streams on \(backend)")
    var generator = SplitMix(state: seed)
    let isSoak = ProcessInfo.processInfo.environment["POSTERN_SOAK"] != nil
    for _ in 0..<(isSoak ? 60 : 6) {
      let bench = try Bench(backend)
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        try bench.write(stream(Int.random(in: 1...120, using: &generator), &generator)) { $0.segmentSize = 20_000 }
        let batch = Int.random(in: 1...50, using: &generator)
        let threshold = UInt64.random(in: 1...100, using: &generator)
        // A strategy or two that never work.
        let broken = Set((0..<2).compactMap { _ in Strategy.allCases.randomElement(using: &generator) })
          .filter { !$0.replacements.isEmpty }.prefix(1)
        let sync = try bench.run {
          $0.batch = batch
          $0.threshold = threshold
          $0.fault = { strategy, _ in broken.contains(strategy) ? .refused("not today") : nil }
        }
        #expect(sync.stops.isEmpty && sync.lag == 0, "seed \(seed): \(sync.stops)")
      }
      try Naive.compare(bench, bench.records(), "seed \(seed)")
    }
  }

  @Test(arguments: Backend.allCases)
  func `pages and counts are those of the records that match`(_ backend: Backend) throws {
    let seed = testSeed("questions on \(backend)")
    var generator = SplitMix(state: seed)
    let bench = try Bench(backend)
    try bench.write(stream(400, &generator))
    try bench.run()
    let database = try AnalysisDatabase(reading: bench.place)
    let records = try bench.records().sorted { ($0.time.wall, $0.sequence) < ($1.time.wall, $1.sequence) }
    for _ in 0..<60 {
      let one = try #require(records.randomElement(using: &generator))
      func maybe<Value>(_ value: Value?) -> Value? { Bool.random(using: &generator) ? value : nil }
      let filter = AuditFilter(
        kind: maybe(maybe(one.kind)), verdict: maybe(maybe(one.kind.verdict)), reason: maybe(maybe(one.reason)),
        object: maybe(maybe(one.object)),
        application: maybe(maybe(one.application)), pid: maybe(maybe(maybe(one.pid))), uid: maybe(maybe(one.uid)),
        executable: maybe(maybe(maybe(one.executablePath))), path: maybe(maybe(one.path)),
        operation: maybe(maybe(one.operation)),
        since: maybe(records.randomElement(using: &generator)?.time.wall),
        until: maybe(records.randomElement(using: &generator)?.time.wall))
      let matching = records.filter { filter.matches($0) }
      let most = Int.random(in: 1...60, using: &generator)
      #expect(try database.newest(most, matching: filter) == Array(matching.suffix(most)), "seed \(seed) \(filter)")
      #expect(try database.count(matching: filter) == Int64(matching.count), "seed \(seed) \(filter)")
    }
  }
}

import Analysis
import Audit
import Foundation
import Linux
import Synchronization
import TestSupport
import Testing

@testable import AnalysisDatabase

/// A syncing process that is killed in the middle: every record takes its effect once.
@Suite struct KilledSyncTests {
  /// How many are killed: a hundredth in an ordinary run.
  private static let rounds = ProcessInfo.processInfo.environment["POSTERN_SOAK"] == nil ? 10 : 1000

  @Test(arguments: Backend.allCases)
  func `after kill -9 at any moment each record has its effect once`(_ backend: Backend) async throws {
    let seed = testSeed("killed syncs on \(backend)")
    var generator = SplitMix(state: seed)
    let bench = try Bench(backend)
    let (path, place) = (bench.path, bench.place.text)
    var midway = 0
    var round = 0
    // A moment in the middle is met in about every fourth round; none at all would be no test.
    while round < KilledSyncTests.rounds || midway == 0 && round < 10 * KilledSyncTests.rounds {
      round += 1
      try bench.write(stream(200, &generator)) { $0.segmentSize = 20_000 }
      let pause = UInt32.random(in: 500...120_000, using: &generator)
      let batch = Int.random(in: 1...40, using: &generator)
      let threshold = UInt64.random(in: 1...100, using: &generator)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [
          path = path as String, place = place as String, pause = pause as UInt32, batch = batch as Int,
          threshold = threshold as UInt64
        ] in
        try KilledSyncTests.sync(path, place, pause, batch, threshold)
      }
      let sync = try bench.sync()
      if sync.lag > 0 { midway += 1 }
      // What is there is exactly what the records up to there come to, in every table.
      let applied = Set(sync.tables.map(\.applied))
      if applied.count == 1, let end = applied.first {
        try Naive.compare(bench, bench.records().filter { $0.sequence <= end }, "seed \(seed) round \(round)")
      }
    }
    try bench.run()
    try Naive.compare(bench, bench.records(), "seed \(seed)")
    #expect(midway > 0, "seed \(seed): nobody was killed in the middle")
  }

  /// Runs in the process that is killed.
  private static func sync(
    _ path: String, _ place: String, _ pause: UInt32, _ batch: Int, _ threshold: UInt64
  ) throws {
    var configuration = JournalSync.Configuration(directory: path)
    configuration.batch = batch
    configuration.threshold = threshold
    let sync = try JournalSync(configuration, into: AnalysisDatabase(DatabasePlace(place)))
    let killer = try Linux.Thread("killer") {
      usleep(pause)
      kill(getpid(), SIGKILL)
    }
    try sync.begin()
    try sync.catchUp()
    killer.join()
  }
}

extension DatabasePlace {
  fileprivate var text: String {
    switch self {
    case .file(let path): path
    case .server(let address): address
    }
  }
}

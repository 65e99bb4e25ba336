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
  /// How many share a journal and a database: what each compares grows with what the ones before it have written.
  private static let life = 20

  @Test(arguments: Backend.allCases)
  func `after kill -9 at any moment each record has its effect once`(_ backend: Backend) async throws {
    let seed = testSeed("killed syncs on \(backend)")
    var generator = SplitMix(state: seed)
    var bench = try Bench(backend)
    var reached: UInt64 = 0
    var midway = 0
    var apart = 0
    var round = 0
    // Not in every round somebody is killed in the middle; none at all would be no test.
    while round < KilledSyncTests.rounds || midway == 0 && round < 10 * KilledSyncTests.rounds {
      round += 1
      if round % KilledSyncTests.life == 0 {
        try finish(bench, "seed \(seed) round \(round)")
        bench = try Bench(backend)
        reached = 0
      }
      let (path, place) = (bench.path, bench.place.text)
      // What an opening cuts is work at one table, during which the others go on.
      if Int.random(in: 0..<3, using: &generator) == 0, try !bench.segments().isEmpty { try bench.tear() }
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
      let applied = sync.tables.map(\.applied)
      if sync.lag > 0, applied.max() ?? 0 > reached { midway += 1 }
      reached = applied.max() ?? 0
      if Set(applied).count > 1 { apart += 1 }
      // What is there is exactly what the records up to there come to, in every table, wherever the others are.
      let records = try bench.records()
      #expect(sync.tables.count == AnalysisTable.allCases.count)
      for progress in sync.tables {
        try Naive.compare(
          progress.table, bench, records.filter { $0.sequence <= progress.applied }, "seed \(seed) round \(round)")
      }
    }
    try finish(bench, "seed \(seed)")
    #expect(midway > 0, "seed \(seed): nobody was killed in the middle")
    print("killed syncs on \(backend): \(round) rounds, \(midway) in the middle, \(apart) with tables apart")
  }

  /// Brings the rest in, undisturbed.
  private func finish(_ bench: Bench, _ comment: Comment) throws {
    try bench.run()
    try Naive.compare(bench, bench.records(), comment)
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

import Analysis
import Audit
import Synchronization
import Testing

@testable import AnalysisDatabase

/// A strategy that fails is replaced, recorded, and leaves what one application leaves.
@Suite struct StrategyTests {
  private func some() -> [AuditRecord] {
    [
      record(.start), grant(1), refusal("web"), intent(7), grant(2, "web"), drop(1), grant(3),
      record(.runtimeGrant) { $0.object = "web" }, refusal("web"), drop(3), record(.reload), grant(4),
    ]
  }

  @Test(arguments: Backend.allCases, [1, 1000] as [UInt64])
  func `backlog at or above the threshold loads in bulk, below it row by row`(
    _ backend: Backend, _ threshold: UInt64
  ) throws {
    let bench = try Bench(backend)
    try bench.write([grant(1), refusal()])
    let sync = try bench.run { $0.threshold = threshold }
    let expected: Set<Strategy> =
      threshold == 1 ? [.bulkAppend, .netEffect, .mergeTogether] : [.append, .rowByRow, .mergeEach]
    #expect(Set(sync.strategies.keys) == expected)
  }

  @Test(arguments: Backend.allCases, Strategy.allCases.filter { !$0.replacements.isEmpty })
  func `whatever fails at whatever operation, another strategy leads to the same rows`(
    _ backend: Backend, _ broken: Strategy
  ) throws {
    for operation in Set(broken.operations) {
      let bench = try Bench(backend)
      try bench.write(some())
      var tried = false
      for threshold in [1, 1000] as [UInt64] where !tried {
        let sync = try bench.sync {
          $0.threshold = threshold
          $0.fault = { $0 == broken && $1 == operation ? .refused("not today") : nil }
        }
        try sync.begin()
        try sync.catchUp()
        #expect(sync.stops.isEmpty)
        tried = sync.failures.contains { $0.strategy == broken }
        if tried {
          let noted = try bench.rows("SELECT strategy, replacement FROM strategy_failure")
          #expect(noted.contains([.text(broken.rawValue), .text(broken.replacements[0].rawValue)]))
          #expect(sync.strategies[broken] == nil)
          try Naive.compare(bench, bench.records(), "\(broken) \(operation)")
        } else {
          // That threshold does not select it: what was applied is taken away, for the other.
          try bench.clear()
        }
      }
      // What only replaces others has to be reached through them.
      if !tried {
        let sync = try bench.sync {
          $0.fault = { strategy, at in
            strategy != broken && strategy.replacements.contains(broken)
              || strategy == broken && at == operation ? .refused("not today") : nil
          }
        }
        try sync.begin()
        try sync.catchUp()
        #expect(sync.failures.contains { $0.strategy == broken }, "\(broken) was never selected")
        #expect(sync.stops.isEmpty)
        try Naive.compare(bench, bench.records(), "\(broken) \(operation)")
      }
    }
  }

  @Test(arguments: Backend.allCases, [1, 1000] as [UInt64])
  func `a row that stands in the way is replaced, not doubled`(_ backend: Backend, _ threshold: UInt64) throws {
    let bench = try Bench(backend)
    try bench.write(some())
    let entry = Entry(try bench.records()[4], source: 1)
    _ = try bench.sync()
    try bench.execute(
      "INSERT INTO record (\(Schema.record.names.joined(separator: ", "))) VALUES (\(marks(Schema.record.names.count)))",
      entry.row)
    let sync = try bench.run { $0.threshold = threshold }
    #expect(sync.failures.map(\.strategy) == [threshold == 1 ? .bulkAppend : .append])
    #expect(sync.failures.map(\.replacement) == [.replaceAppend])
    try Naive.compare(bench, bench.records(), "replaced")
  }

  @Test(arguments: Backend.allCases)
  func `a table that no strategy can serve stops loudly, the others go on, and later it catches up`(
    _ backend: Backend
  ) throws {
    let bench = try Bench(backend)
    try bench.write(some())
    let broken = try bench.run { configuration in
      configuration.fault = { strategy, _ in
        [.rowByRow, .netEffect, .reload, .reloadRows].contains(strategy)
          ? .refused("the disk of that table is bad") : nil
      }
    }
    #expect(Set(broken.stops.flatMap(\.tables)) == [.association, .runtimeGrant])
    #expect(broken.stops.allSatisfy { $0.reason.contains("the disk of that table is bad") })
    #expect(broken.progress(.record)?.applied == 12 && broken.progress(.counter)?.applied == 12)
    #expect(broken.progress(.association)?.applied == 0)
    #expect(broken.failures.contains { $0.replacement == nil })
    try bench.run()
    try Naive.compare(bench, bench.records(), "caught up")
  }

  @Test(arguments: Backend.allCases)
  func `two that bring the same journal in do not both write a record`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write(some())
    let (one, other) = (try bench.sync(), try bench.sync())
    try one.catchUp()
    #expect(throws: SyncError.database(.overtaken)) { try other.catchUp() }
    try Naive.compare(bench, bench.records(), "once")
  }
}

extension Bench {
  /// Takes everything away but the tables.
  func clear() throws {
    for table in ["record", "association", "runtime_grant", "counter", "strategy_failure", "progress", "source"] {
      try execute("DELETE FROM \(table) WHERE 1 = ?", [.integer(1)])
    }
  }
}

import Analysis
import Authority
import Instructions
import Synchronization
import Testing

@testable import AnalysisDatabase
@testable import Audit

/// What the classes do to the tables.
@Suite struct ClassEffectTests {
  @Test(arguments: Backend.allCases, [1, 1000] as [UInt64])
  func `another broker loads the table of associations again, and what was begun is never done`(
    _ backend: Backend, _ threshold: UInt64
  ) throws {
    let bench = try Bench(backend)
    // The broker is killed between the intent and what would have acknowledged it.
    try bench.write([record(.start), grant(1), intent(7, "web")])
    try bench.run { $0.threshold = threshold }
    #expect(
      try bench.rows("SELECT state FROM association ORDER BY state") == [[.text("begun")], [.text("held")]])
    try bench.write([record(.start), grant(2)])
    let sync = try bench.run { $0.threshold = threshold }
    #expect(sync.strategies[.reload] == 1 || sync.strategies[.reload] == 2)
    #expect(try bench.rows("SELECT key, state FROM association") == [[.text("association 2"), .text("held")]])
    #expect(
      try bench.rows("SELECT key FROM association WHERE state = ? AND object = ?", [.text("held"), .text("web")])
        .isEmpty)
    try Naive.compare(bench, bench.records(), "another broker")
  }

  @Test(arguments: Backend.allCases)
  func `what was begun is held when it was acknowledged, and stands once`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([intent(7, "web"), grant(7, "web")])
    try bench.run()
    #expect(try bench.rows("SELECT key, state FROM association") == [[.text("association 7"), .text("held")]])
  }

  @Test(arguments: Backend.allCases)
  func `a runtime grant stands until it has expired or was revoked, and the table says until when`(
    _ backend: Backend
  ) throws {
    let bench = try Bench(backend)
    func given(_ id: UInt64, expiry: UInt64?) -> AuditRecord {
      record(.runtimeGrant) {
        $0.time = AuditTime(wall: 5_000_000_000, boottime: 1_000_000_000)
        $0.object = "web"
        $0.runtimeGrant = RuntimeGrantTerm(id: id, expiry: expiry)
      }
    }
    func ended(_ id: UInt64, _ cause: DropCause) -> AuditRecord {
      record(.runtimeGrantEnd) {
        $0.object = "web"
        $0.runtimeGrant = RuntimeGrantTerm(id: id)
        $0.cause = cause
      }
    }
    try bench.write([given(1, expiry: 3_000_000_000), given(2, expiry: nil), given(3, expiry: nil)])
    try bench.run()
    #expect(
      try bench.rows("SELECT key, expires FROM runtime_grant ORDER BY key") == [
        [.text("grant 1"), .integer(7_000_000_000)], [.text("grant 2"), .null], [.text("grant 3"), .null],
      ])
    try bench.write([ended(1, .expiry), ended(3, .revoke)])
    try bench.run()
    #expect(try bench.rows("SELECT key, state FROM runtime_grant") == [[.text("grant 2"), .text("standing")]])
  }

  @Test(arguments: Backend.allCases)
  func `a reload ends runtime grants, and one that failed does not`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([record(.runtimeGrant) { $0.object = "web" }, record(.reload) { $0.errno = 22 }])
    try bench.run()
    #expect(try bench.rows("SELECT object FROM runtime_grant") == [[.text("web")]])
    try bench.write([record(.reload)])
    try bench.run()
    #expect(try bench.rows("SELECT object FROM runtime_grant").isEmpty)
  }

  @Test(arguments: Backend.allCases)
  func `changes that were lost make what is held uncertain, lost refusals do not`(_ backend: Backend) throws {
    for isChange in [false, true] {
      let bench = try Bench(backend)
      let gate = Mutex(false)
      let journal = try bench.open(fault: { step in step == .write && gate.withLock { $0 } ? 28 : nil }) {
        $0.capacity = 2
      }
      _ = journal.submit(grant(1), durability: .none)
      _ = journal.submit(record(.runtimeGrant) { $0.object = "web" }, durability: .none)
      while journal.counters.durable < 2 { sleepShortly() }
      gate.withLock { $0 = true }
      for _ in 0..<20 { _ = journal.submit(isChange ? drop(9) : refusal(), durability: .none) }
      sleepShortly()
      gate.withLock { $0 = false }
      while journal.counters.waiting > 0 || journal.counters.failing != nil { sleepShortly() }
      journal.stop()
      #expect(try bench.records().contains { $0.kind == .gap })
      try bench.run()
      let expected: Cell = isChange ? .text("uncertain") : .text("held")
      #expect(try bench.rows("SELECT state FROM association") == [[expected]])
      #expect(
        try bench.rows("SELECT SUM(count) FROM counter WHERE kind = ?", [.text("lost")]).first?.first?.number ?? 0 > 0)
      try Naive.compare(bench, bench.records(), "gap")
    }
  }

  @Test(arguments: Backend.allCases)
  func `while rows are removed the table waits, the others go on, and then it catches up`(
    _ backend: Backend
  ) throws {
    let bench = try Bench(backend)
    try bench.write((0..<400).map { _ in refusal() }) { $0.segmentSize = 8000 }
    try bench.run()
    #expect(try bench.rows("SELECT COUNT(*) FROM record") == [[.integer(400)]])
    // Opening removes what is older than the retention.
    try bench.write([grant(1)]) {
      $0.segmentSize = 8000
      $0.retention = 1
    }
    let removal = try #require(try bench.records().compactMap(\.removal).first)
    let sync = try bench.sync { $0.partSize = 7 }
    try sync.begin()
    var waited = 0
    while try sync.advance() {
      if sync.progress(.record)?.state == .suspended {
        waited += 1
        if waited > 1 {
          #expect(sync.progress(.association)?.applied == sync.extent.durable)
          #expect(sync.progress(.counter)?.applied == sync.extent.durable)
          #expect(sync.lag > 0)
        }
      }
    }
    #expect(waited >= Int((removal.last - removal.first) / 7))
    #expect(sync.lag == 0 && sync.stops.isEmpty)
    let kept = try bench.rows("SELECT sequence FROM record ORDER BY sequence").compactMap { $0[0].number }
    #expect(kept == (Int64(removal.last + 1)...Int64(sync.extent.durable)).map { $0 })
    // Counters tell of what was, removed or not.
    #expect(
      try bench.rows("SELECT SUM(count) FROM counter WHERE kind = ?", [.text("refusal")]) == [[.integer(400)]])
  }

  @Test(arguments: Backend.allCases)
  func `work at a table goes on where a killed process has left it`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write((0..<400).map { _ in refusal() }) { $0.segmentSize = 8000 }
    try bench.run()
    try bench.write([grant(1)]) {
      $0.segmentSize = 8000
      $0.retention = 1
    }
    let removal = try #require(try bench.records().compactMap(\.removal).first)
    for _ in 0..<6 {
      let sync = try bench.sync { $0.partSize = 5 }
      try sync.begin()
      _ = try sync.advance()
      _ = try sync.advance()
    }
    let sync = try bench.run()
    #expect(sync.lag == 0 && sync.stops.isEmpty)
    let kept = try bench.rows("SELECT sequence FROM record ORDER BY sequence").compactMap { $0[0].number }
    #expect(kept == (Int64(removal.last + 1)...Int64(sync.extent.durable)).map { $0 })
  }

  @Test(arguments: Backend.allCases)
  func `another chain of keys is noted`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([refusal()])
    try removeFile(bench.path + "/journal.key")
    try bench.write([refusal()])
    let rekey = try #require(try bench.records().first { $0.kind == .rekey })
    let sync = try bench.run()
    #expect(sync.lag == 0 && sync.stops.isEmpty)
    #expect(try bench.rows("SELECT sequence FROM chain") == [[.integer(Int64(rekey.sequence))]])
    try Naive.compare(bench, bench.records(), "rekey")
  }

  @Test(arguments: Backend.allCases)
  func `a database that has more than the repaired journal stops`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([refusal(), refusal(), refusal()])
    try bench.tear()
    try bench.write([refusal()])
    let repair = try #require(try bench.records().first { $0.kind == .repair })
    var forged = refusal()
    forged.sequence = repair.sequence + 5
    _ = try bench.sync()
    try bench.execute(
      "INSERT INTO record (\(Schema.record.names.joined(separator: ", "))) VALUES (\(marks(Schema.record.names.count)))",
      Entry(forged, source: 1).row)
    let sync = try bench.run()
    #expect(sync.stops.map(\.tables) == [[.record]])
    #expect(sync.stops.first?.reason.contains("\(forged.sequence)") == true)
    #expect(sync.progress(.counter)?.applied == sync.extent.durable)
  }

  @Test(arguments: Backend.allCases)
  func `tables of another version are loaded again from the records in the database`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([record(.start), grant(1), grant(2), drop(1), record(.runtimeGrant) { $0.object = "web" }])
    try bench.run()
    try bench.execute("DELETE FROM association WHERE source = ?", [.integer(1)])
    try bench.execute("UPDATE runtime_grant SET object = ?", [.text("wrong")])
    // As version 1 had it.
    try bench.execute("ALTER TABLE runtime_grant DROP COLUMN expires")
    try bench.execute("UPDATE meta SET value = ?", [.integer(1)])
    try bench.run()
    try Naive.compare(bench, bench.records(), "rebuilt")
    #expect(try bench.rows("SELECT object FROM runtime_grant") == [[.text("web")]])
  }

  @Test(arguments: Backend.allCases)
  func `tables of a later version are left alone`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([grant(1)])
    try bench.run()
    try bench.execute("UPDATE meta SET value = ?", [.integer(Schema.version + 1)])
    #expect(throws: AnalysisError.self) { try bench.sync() }
    #expect(throws: AnalysisError.self) { try AnalysisDatabase(reading: bench.place) }
  }
}

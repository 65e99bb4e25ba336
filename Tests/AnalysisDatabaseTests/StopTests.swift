import Analysis
import Authority
import Foundation
import Instructions
import Linux
import Synchronization
import Testing

@testable import AnalysisDatabase
@testable import Audit

/// What must not be passed over.
@Suite struct StopTests {
  @Test(arguments: Backend.allCases)
  func `an unknown kind of record stops every table there, and again`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([grant(1), refusal(), grant(2), grant(3)])
    try bench.forge(3) { $0[14] = 200 }
    for _ in 0..<2 {
      let sync = try bench.run()
      #expect(sync.stops.first?.tables.count == AnalysisTable.allCases.count)
      #expect(sync.stops.first?.reason.contains("record 3") == true)
      #expect(sync.tables.allSatisfy { $0.applied == 2 && $0.state == .stopped })
      #expect(sync.lag == 2)
    }
    #expect(try bench.rows("SELECT sequence FROM record ORDER BY sequence") == [[.integer(1)], [.integer(2)]])
    #expect(try bench.rows("SELECT key FROM association") == [[.text("association 1")]])
    // A postern that knows it goes on.
    try bench.forge(3) { $0[14] = AuditKind.grant.rawValue }
    #expect(try bench.run().lag == 0)
    try Naive.compare(bench, bench.records(), "known now")
  }

  @Test(arguments: Backend.allCases)
  func `loss that was accepted does not make an unknown record be skipped`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([grant(1), refusal(), grant(2)])
    try bench.forge(2) { $0[14] = 200 }
    let sync = try bench.run { $0.accepted = [1...3] }
    #expect(sync.tables.allSatisfy { $0.applied == 1 && $0.state == .stopped })
  }

  @Test(arguments: Backend.allCases)
  func `a bad checksum is found before anything later is applied`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write((1...50).map { grant($0) })
    try bench.forge(20, isTorn: true) { $0[60] ^= 1 }
    let sync = try bench.run { $0.batch = 7 }
    #expect(sync.tables.allSatisfy { $0.applied == 19 && $0.state == .stopped })
    #expect(sync.stops.first?.reason.contains("record 20 is missing") == true)
    #expect(sync.stops.first?.reason.contains("no record") == true)
    #expect(try bench.rows("SELECT MAX(sequence) FROM record") == [[.integer(19)]])
    #expect(try bench.rows("SELECT COUNT(*) FROM association") == [[.integer(19)]])
  }

  @Test(arguments: Backend.allCases)
  func `a segment that was taken is found before anything later is applied, and can be accepted`(
    _ backend: Backend
  ) throws {
    let bench = try Bench(backend)
    try bench.write((1...200).map { grant($0) }) { $0.segmentSize = 8000 }
    let segments = try bench.segments()
    let records = try bench.records()
    let taken = try #require(segments.dropFirst(2).first)
    let first = UInt64(try #require(Int(taken.suffix(23).prefix(20))))
    let last = UInt64(try #require(Int(segments[3].suffix(23).prefix(20)))) - 1
    try removeFile(taken)
    let sync = try bench.run()
    #expect(sync.tables.allSatisfy { $0.applied == first - 1 && $0.state == .stopped })
    #expect(sync.stops.first?.reason == "records \(first) to \(last) are missing")
    // Less than what is lost is not enough.
    #expect(try bench.run { $0.accepted = [first...last - 1] }.lag > 0)
    #expect(try bench.run { $0.accepted = [first...last] }.lag == 0)
    #expect(
      try bench.rows("SELECT first, last, reason FROM absence") == [
        [.integer(Int64(first)), .integer(Int64(last)), .text("accepted as lost")]
      ])
    try Naive.compare(bench, records.filter { !(first...last).contains($0.sequence) }, "accepted")
  }

  @Test(arguments: Backend.allCases)
  func `an end that was cut off is found`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write((1...200).map { grant($0) }) { $0.segmentSize = 8000 }
    try removeFile(try #require(try bench.segments().last))
    let sync = try bench.run()
    #expect(sync.tables.allSatisfy { $0.state == .stopped && $0.applied < 200 })
    #expect(sync.stops.first?.reason.contains("to 200 are missing") == true)
  }

  @Test(arguments: Backend.allCases)
  func `what the retention has removed before it was read is noted and no loss`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write((0..<200).map { _ in refusal() }) { $0.segmentSize = 8000 }
    try bench.write([grant(1)]) {
      $0.segmentSize = 8000
      $0.retention = 1
    }
    let first = try #require(try bench.records().first?.sequence)
    #expect(first > 1)
    let sync = try bench.run()
    #expect(sync.lag == 0 && sync.stops.isEmpty)
    #expect(
      try bench.rows("SELECT first, last FROM absence") == [[.integer(1), .integer(Int64(first) - 1)]])
  }

  @Test(arguments: Backend.allCases)
  func `a torn tail that was repaired is no loss`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([grant(1), grant(2)])
    try bench.tear()
    try bench.run()
    try bench.write([grant(3)])
    let sync = try bench.run()
    #expect(sync.lag == 0 && sync.stops.isEmpty)
    try Naive.compare(bench, bench.records(), "repaired")
  }

  @Test(arguments: Backend.allCases)
  func `what is not on disk yet is not brought in, and what was withdrawn never is`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    let isFailing = Mutex(false)
    let journal = try bench.open(fault: { step in step == .synchronize && isFailing.withLock { $0 } ? 5 : nil })
    _ = journal.submit(refusal(), durability: .required(token: 1))
    while journal.counters.durable < 1 { sleepShortly() }
    isFailing.withLock { $0 = true }
    _ = journal.submit(grant(66), durability: .required(token: 2))
    var outcomes: [JournalCompletion] = []
    while outcomes.count < 2 {
      outcomes += journal.takeCompletions()
      // Looked at in the middle, over and over.
      try bench.run()
      #expect(try bench.rows("SELECT key FROM association").isEmpty)
    }
    #expect(outcomes.last?.outcome == .failed(errno: 5))
    isFailing.withLock { $0 = false }
    _ = journal.submit(grant(67), durability: .required(token: 3))
    while journal.counters.durable < 3 { sleepShortly() }
    journal.stop()
    try bench.run()
    #expect(try bench.rows("SELECT key FROM association") == [[.text("association 67")]])
    try Naive.compare(bench, bench.records(), "withdrawn")
  }

  /// The associations in a database that one sync has followed a journal into, before a grant's record was withdrawn and
  /// after it; and whether the whole database is what the journal says.
  private func followed(_ backend: Backend, looksAgain: Bool) throws -> [[Cell]] {
    let bench = try Bench(backend)
    let isFailing = Mutex(false)
    let journal = try bench.open(fault: { step in
      (step == .synchronize || step == .truncate) && isFailing.withLock { $0 } ? 5 : nil
    })
    _ = journal.submit(refusal(), durability: .required(token: 1))
    let sync = try {
      while journal.counters.durable < 1 { sleepShortly() }
      return try bench.sync { $0.looksAgain = looksAgain }
    }()
    try sync.begin()
    while sync.applied < 1 {
      try sync.look()
      try sync.catchUp()
      sleepShortly()
    }
    isFailing.withLock { $0 = true }
    _ = journal.submit(grant(66), durability: .required(token: 2))
    while journal.counters.failing == nil { sleepShortly() }
    isFailing.withLock { $0 = false }
    _ = journal.submit(grant(67), durability: .required(token: 3))
    while journal.counters.durable < 3 { sleepShortly() }
    journal.stop()
    try sync.look()
    try sync.catchUp()
    if looksAgain { try Naive.compare(bench, bench.records(), "followed") }
    return try bench.rows("SELECT key FROM association")
  }

  @Test(arguments: Backend.allCases)
  func `a sync that lives on does not bring in what was withdrawn meanwhile`(_ backend: Backend) throws {
    #expect(try followed(backend, looksAgain: true) == [[.text("association 67")]])
  }

  @Test func `without looking again it brings in an association that never was`() throws {
    #expect(try followed(.sqlite, looksAgain: false).contains([.text("association 66")]))
  }

  @Test(arguments: Backend.allCases)
  func `records that the journal does not call durable wait`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([grant(1)])
    // As a process leaves it that was killed after it wrote them and before it said so.
    let directory = try JournalDirectory(path: bench.path)
    guard var file = try KeyFile.open(directory) else { throw NoKeyFile() }
    var state = file.state
    state.durable = 0
    try file.store(state)
    try removeFile(bench.path + "/journal.checkpoint")
    #expect(try bench.records().count == 1)
    #expect(try bench.run().applied == 0)
    // The next broker takes them over.
    try bench.write([record(.start)])
    #expect(try bench.run().applied == 2)
  }

  @Test(arguments: Backend.allCases)
  func `the journal's directory is as it was`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write((1...200).map { grant($0) }) { $0.segmentSize = 8000 }
    func contents() throws -> [String: Data] {
      let names = try FileManager.default.contentsOfDirectory(atPath: bench.path)
      return try Dictionary(
        uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: URL(filePath: "\(bench.path)/\($0)"))) })
    }
    let before = try contents()
    try bench.run()
    #expect(try contents() == before)
  }

  @Test func `the file is its owner's alone`() throws {
    let bench = try Bench(.sqlite)
    try bench.write([grant(1)])
    try bench.run()
    guard case .file(let path) = bench.place else { return }
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
  }
}

private struct NoKeyFile: Error {}

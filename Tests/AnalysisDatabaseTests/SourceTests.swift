import Analysis
import Authority
import Instructions
import Testing

@testable import AnalysisDatabase
@testable import Audit

@Suite struct SourceTests {
  @Test(arguments: Backend.allCases)
  func `several journals land in one database, each with its own numbers`(_ backend: Backend) throws {
    let (one, other) = (try Bench(backend), try Bench(backend))
    try one.write([grant(1), grant(2), refusal("one")])
    try other.write([refusal("other"), grant(1)])
    for bench in [one, other, one, other] {
      let sync = try JournalSync(.init(directory: bench.path), into: AnalysisDatabase(one.place))
      try sync.begin()
      try sync.catchUp()
      #expect(sync.lag == 0)
    }
    let rows = try one.rows(
      """
      SELECT source.journal, COUNT(*) FROM record JOIN source ON source.id = record.source
      GROUP BY source.journal ORDER BY COUNT(*)
      """)
    #expect(rows.map { $0[1] } == [.integer(2), .integer(3)])
    let first = try #require(try JournalReader.source(directory: one.path))
    #expect(rows.last?.first == .text(first.text))
    // One broker's end is not the other's.
    try one.write([record(.start)])
    let sync = try JournalSync(.init(directory: one.path), into: AnalysisDatabase(one.place))
    try sync.catchUp()
    #expect(try one.rows("SELECT key FROM association") == [[.text("association 1")]])
    let database = try AnalysisDatabase(reading: one.place)
    #expect(try database.count() == 6)
    #expect(try database.newest(10).count == 6)
  }

  @Test(arguments: Backend.allCases)
  func `another journal in the directory is not taken for the one before`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write([grant(1), grant(2)])
    let sync = try bench.run()
    let parent = try Bench(backend)
    try parent.write([refusal()])
    for segment in try bench.segments() { try removeFile(segment) }
    for name in ["journal.key", "journal.checkpoint"] { try removeFile("\(bench.path)/\(name)") }
    try bench.write([refusal()])
    #expect(throws: SyncError.otherJournal) { try sync.look() }
    try bench.run()
    #expect(try bench.rows("SELECT COUNT(*) FROM source") == [[.integer(2)]])
  }

  @Test(arguments: Backend.allCases)
  func `lag is what is on disk and not in a table`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write((1...30).map { grant($0) })
    let sync = try bench.sync { $0.batch = 10 }
    try sync.begin()
    #expect(sync.lag == 30)
    _ = try sync.advance()
    #expect(sync.lag == 20 && sync.applied == 10)
    #expect(sync.tables.allSatisfy { sync.lag(of: $0) == 20 })
    try sync.catchUp()
    #expect(sync.lag == 0)
    try bench.write([refusal()])
    try sync.look()
    #expect(sync.lag == 1)
  }

  @Test(arguments: Backend.allCases)
  func `a program is found by its path, and by its name in every folder`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    let paths: [ByteString] = [
      "/usr/bin/cat", "/bin/cat", "cat", "cat/", "/bin/cat//", "/bin/concat", "/cat/dog", "/bin/CAT", "/bin/ca_",
      "/bin/ca%",
      "/bin/e\u{301}", "/bin/\u{301}", "/bin/\u{1B}", ByteString(bytes: Array("/bin/".utf8) + [0xFF]), "/", "",
    ]
    try bench.write(paths.map { path in record(.refusal) { $0.executablePath = path } })
    try bench.run()
    let database = try AnalysisDatabase(reading: bench.place)
    let records = try bench.records()
    let names = paths.map { ByteString(bytes: $0.bytes.split(separator: UInt8(ascii: "/")).last.map(Array.init) ?? []) }
    for wanted in paths + names {
      let filter = AuditFilter(executable: wanted)
      let matching = records.filter { filter.matches($0) }
      #expect(Set(try database.newest(100, matching: filter)) == Set(matching), "\(wanted)")
      #expect(try database.count(matching: filter) == Int64(matching.count), "\(wanted)")
    }
  }

  @Test(arguments: Backend.allCases)
  func `a program is found by its name among more programs than are looked at one by one`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    try bench.write(
      (0..<1100).map { index in
        record(.refusal) {
          $0.time.wall += UInt64(index)
          $0.executablePath = ByteString("/opt/\(index)/" + (index.isMultiple(of: 3) ? "cat" : "dog\(index)"))
        }
      })
    try bench.run()
    let database = try AnalysisDatabase(reading: bench.place)
    let filter = AuditFilter(executable: "cat")
    let matching = try bench.records().filter { filter.matches($0) }
    #expect(matching.count == 367)
    #expect(try database.newest(20, matching: filter) == Array(matching.suffix(20)))
    #expect(try database.count(matching: filter) == 367)
  }

  @Test(arguments: Backend.allCases)
  func `names do nothing to the database`(_ backend: Backend) throws {
    let bench = try Bench(backend)
    let hostile: [ByteString] = [
      "'; DROP TABLE record; --", "\"); DELETE FROM counter; --", "$1", "?", ":a @b", "\\'; SELECT 1", "%00",
      ByteString(bytes: [0]), ByteString(bytes: [0xFF, 0xFE]), "\u{1B}[2J", "\\N", "\\.", "NULL", "x\ty\nz",
      ByteString(bytes: Array(0...255)), "é\u{202E}", "",
    ]
    let records = hostile.flatMap { name in
      [
        refusal(name),
        record(.grant) {
          $0.object = name
          $0.application = name
          $0.executablePath = name
          $0.message = name
          $0.grant = name
          $0.cgroup = name
          $0.association = AssociationID(rawValue: UInt64(name.bytes.count))
        },
        record(.intent) {
          $0.object = name
          $0.pid = 1
        },
      ]
    }
    try bench.write(records)
    for threshold in [1, 1000] as [UInt64] {
      try bench.clear()
      let sync = try bench.run { $0.threshold = threshold }
      #expect(sync.stops.isEmpty && sync.failures.isEmpty)
      try Naive.compare(bench, bench.records(), "hostile")
      let database = try AnalysisDatabase(reading: bench.place)
      for name in hostile {
        let filter = AuditFilter(kind: .refusal, object: name)
        #expect(try database.newest(5, matching: filter).map(\.object) == [name])
        #expect(try database.count(matching: filter) == 1)
      }
    }
  }

  @Test func `a server that ends the connection in the middle loses and doubles nothing`() throws {
    let bench = try Bench(.postgresql)
    try bench.write((1...300).map { grant($0) })
    let sync = try bench.sync { $0.batch = 20 }
    try sync.begin()
    for round in 0..<4 {
      _ = try sync.advance()
      _ = try sync.advance()
      try bench.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND 1 = ?",
        [.integer(1)])
      #expect("round \(round)") { try sync.advance() } throws: { error in
        guard case SyncError.database(.unreachable)? = error as? SyncError else { return false }
        return true
      }
      // As the command does: another attempt begins with what the database says.
      try sync.begin()
    }
    try sync.catchUp()
    try Naive.compare(bench, bench.records(), "ended")
  }

  @Test func `a server that is not there is unreachable, by name`() throws {
    #expect {
      _ = try AnalysisDatabase(.server("postgresql://postern@%2Fnonexistent:1/a"))
    } throws: { error in
      guard case AnalysisError.unreachable(let text)? = error as? AnalysisError else { return false }
      return text.contains("/nonexistent")
    }
  }
}

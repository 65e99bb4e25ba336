import Analysis
import Authority
import Foundation
import Instructions
import Linux
import PostgreSQL
import Synchronization
import TestSupport
import Testing

@testable import AnalysisDatabase
@testable import Audit

/// Both kinds of database; every rule holds on both.
enum Backend: String, CaseIterable, CustomTestStringConvertible {
  case sqlite, postgresql

  var testDescription: String { rawValue }
}

/// A journal's directory and a database, gone with their owner.
final class Bench: Sendable {
  let path: String
  let place: DatabasePlace
  private static let next = Atomic(0)

  init(_ backend: Backend) throws {
    let parent = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
    path = "\(parent)/postern-analysis-\(UInt64.random(in: 0...UInt64.max))"
    _ = try JournalDirectory(path: path, create: true)
    switch backend {
    case .sqlite: place = .file(path + ".sqlite")
    case .postgresql:
      let server = try PostgreSQLServer.shared.get()
      let name = "t\(getpid())_\(Bench.next.wrappingAdd(1, ordering: .relaxed).newValue)"
      var connection = try PostgreSQLConnection(server.address("postgres"))
      try connection.execute("CREATE DATABASE \(name)")
      place = .server(server.address(name))
    }
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
    if case .server(let address) = place, let name = address.split(separator: "/").last,
      let server = try? PostgreSQLServer.shared.get(),
      var connection = try? PostgreSQLConnection(server.address("postgres"))
    {
      try? connection.execute("DROP DATABASE \(name) WITH (FORCE)")
    }
    for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + ".sqlite" + end) }
  }

  func open(
    fault: (@Sendable (JournalStep) -> Int32?)? = nil, _ change: (inout JournalConfiguration) -> Void = { _ in }
  ) throws -> Journal {
    var configuration = JournalConfiguration(directory: path, boot: boot, syncInterval: 5, retryInterval: 2)
    change(&configuration)
    return try Journal(configuration, fault: fault, now: { clock() }, onDurable: { _ in })
  }

  /// Writes records and closes the journal.
  func write(_ records: [AuditRecord], _ change: (inout JournalConfiguration) -> Void = { _ in }) throws {
    let journal = try open(change)
    for record in records {
      while case .counted = journal.submit(record, durability: .none) { Issue.record("the queue is full") }
    }
    journal.stop()
  }

  func records() throws -> [AuditRecord] {
    var reader = try JournalReader(directory: path)
    var records: [AuditRecord] = []
    while let item = try reader.next() { if case .record(let record) = item { records.append(record) } }
    return records
  }

  func sync(_ change: (inout JournalSync.Configuration) -> Void = { _ in }) throws -> JournalSync {
    var configuration = JournalSync.Configuration(directory: path)
    change(&configuration)
    return try JournalSync(configuration, into: AnalysisDatabase(place))
  }

  /// Brings everything in with a new process's eyes.
  @discardableResult
  func run(_ change: (inout JournalSync.Configuration) -> Void = { _ in }) throws -> JournalSync {
    let sync = try sync(change)
    try sync.begin()
    try sync.catchUp()
    return sync
  }

  func rows(_ statement: String, _ values: [Cell] = []) throws -> [[Cell]] {
    try AnalysisDatabase(place).rows(statement, values)
  }

  func execute(_ statement: String, _ values: [Cell] = []) throws {
    try AnalysisDatabase(place).target.transaction { (session) throws(AnalysisError) in
      _ = try session.execute(statement, values)
    }
  }

  /// Paths of segments, oldest first.
  func segments() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".pj") }.sorted()
      .map { "\(path)/\($0)" }
  }

  /// Changes the frame of a record where it lies; its checksum is made right again unless `isTorn`.
  func forge(_ sequence: UInt64, isTorn: Bool = false, _ change: (inout [UInt8]) -> Void) throws {
    for segment in try segments() {
      var bytes = Array(try Data(contentsOf: URL(filePath: segment)))
      let marker = littleEndian32(bytes.span, at: 12)
      var offset = SegmentHeader.length
      while let length = Frame.length(bytes.span, at: offset, marker: marker) {
        if Frame.sequence(bytes.span, at: offset) == sequence {
          var frame = Array(bytes[offset..<offset + length])
          change(&frame)
          if !isTorn { Frame.protect(&frame, 0..<length, marker: marker) }
          bytes.replaceSubrange(offset..<offset + length, with: frame)
          try Data(bytes).write(to: URL(filePath: segment))
          return
        }
        offset += length
      }
    }
    Issue.record("no record \(sequence)")
  }
}

extension AnalysisDatabase {
  func rows(_ statement: String, _ values: [Cell] = []) throws -> [[Cell]] {
    var found: [[Cell]] = []
    try target.transaction { (session) throws(AnalysisError) in found = try session.rows(statement, values) }
    return found
  }
}

extension JournalSync {
  func progress(_ table: AnalysisTable) -> TableProgress? { tables.first { $0.table == table } }
}

let boot = BootID(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)

@Sendable func clock() -> AuditTime {
  let elapsed = ContinuousClock().systemEpoch.duration(to: .now).components
  let boottime = UInt64(elapsed.seconds) * 1_000_000_000 + UInt64(elapsed.attoseconds / 1_000_000_000)
  return AuditTime(wall: 1_700_000_000_000_000_000 + boottime, boottime: boottime)
}

func record(_ kind: AuditKind, _ change: (inout AuditRecord) -> Void = { _ in }) -> AuditRecord {
  var record = AuditRecord(kind, time: clock(), boot: boot)
  change(&record)
  return record
}

func refusal(_ object: ByteString = "scratch", _ reason: Reason = .limit) -> AuditRecord {
  record(.refusal) {
    $0.object = object
    $0.reason = reason
  }
}

func grant(_ association: UInt64, _ object: ByteString = "scratch") -> AuditRecord {
  record(.grant) {
    $0.object = object
    $0.application = "shop"
    $0.association = AssociationID(rawValue: association)
    $0.pid = UInt32(association)
  }
}

func drop(_ association: UInt64) -> AuditRecord {
  record(.drop) {
    $0.association = AssociationID(rawValue: association)
    $0.cause = .exit
  }
}

func intent(_ pid: UInt32, _ object: ByteString = "scratch") -> AuditRecord {
  record(.intent) {
    $0.object = object
    $0.pid = pid
    $0.path = .handover
  }
}

/// Any stream of records as brokers write them, with names that nobody would choose.
func stream(_ count: Int, _ generator: inout SplitMix) -> [AuditRecord] {
  let names: [ByteString] = [
    "web", "scratch", "'; DROP TABLE record; --", ByteString(bytes: [0xFF, 0x00, 0x1B, 0x5B]), "a\\b", "$1 ? :name",
  ]
  var standing: [RuntimeGrantTerm] = []
  var boottime = clock().boottime
  func any() -> AuditRecord {
    let id = UInt64.random(in: 1...12, using: &generator)
    let kinds: [AuditKind] = [
      .refusal, .refusal, .grant, .grant, .revalidate, .drop, .revoke, .intent, .use, .runtimeGrant, .reload,
      .privileged, .start, .stop,
    ]
    let kind: AuditKind
    switch Int.random(in: 0..<40, using: &generator) {
    case 0: kind = .start
    case 1: kind = .reload
    default: kind = kinds.dropLast(2).filter { $0 != .reload }.randomElement(using: &generator) ?? .refusal
    }
    return record(kind) { record in
      // Hours apart, so that counters fall into several.
      record.time.wall &+= UInt64.random(in: 0...20_000_000_000_000, using: &generator)
      record.object = names.randomElement(using: &generator)
      if Bool.random(using: &generator) { record.application = names.randomElement(using: &generator) }
      record.pid = UInt32(id)
      record.processStart = id / 4
      if Bool.random(using: &generator) { record.uid = UInt32.random(in: 0...3, using: &generator) }
      if Bool.random(using: &generator) { record.executablePath = names.randomElement(using: &generator) }
      if Bool.random(using: &generator) { record.path = OperationPath.allCases.randomElement(using: &generator) }
      if Bool.random(using: &generator) { record.operation = Opcode.allCases.randomElement(using: &generator) }
      if kind == .refusal { record.reason = Reason.allCases.randomElement(using: &generator) }
      if [.grant, .revalidate, .drop, .revoke].contains(kind) { record.association = AssociationID(rawValue: id) }
      if kind == .reload, Int.random(in: 0..<3, using: &generator) == 0 { record.errno = 22 }
    }
  }
  var records: [AuditRecord] = []
  func end(_ grant: RuntimeGrantTerm, _ cause: DropCause) {
    standing.removeAll { $0 == grant }
    records.append(
      record(.runtimeGrantEnd) {
        $0.time.boottime = cause == .expiry ? grant.expiry ?? 0 : boottime
        $0.runtimeGrant = grant
        $0.cause = cause
      })
  }
  // Time passes, and what has expired is told of at once; at the end all that expires has.
  while records.count + standing.count < count {
    boottime += UInt64.random(in: 0...2_000_000_000, using: &generator)
    for grant in standing.sorted(by: { $0.expiry ?? .max < $1.expiry ?? .max }) where grant.expiry ?? .max <= boottime {
      end(grant, .expiry)
    }
    if Int.random(in: 0..<20, using: &generator) == 0, let grant = standing.randomElement(using: &generator) {
      end(grant, .revoke)
    }
    guard records.count + standing.count < count else { break }
    var record = any()
    record.time.boottime = boottime
    switch record.kind {
    case .runtimeGrant where records.count + standing.count + 2 <= count:
      let lasts: UInt64? =
        Bool.random(using: &generator) ? .random(in: 0...30_000_000_000, using: &generator) : nil
      let grant = RuntimeGrantTerm(
        id: .random(in: 1...UInt64.max, using: &generator), expiry: lasts.map { boottime + $0 })
      record.runtimeGrant = grant
      standing.append(grant)
    case .start, .stop: standing = []
    case .reload: if record.errno == nil { standing = [] }
    default: break
    }
    records.append(record)
  }
  for grant in standing.sorted(by: { $0.expiry ?? .max < $1.expiry ?? .max }) {
    end(grant, grant.expiry == nil ? .revoke : .expiry)
  }
  return records
}

func sleepShortly() { Clock.sleep(nanoseconds: 2_000_000) }

func removeFile(_ path: String) throws { try FileManager.default.removeItem(atPath: path) }

extension Bench {
  /// Leaves half a record behind the last one, as a process that was killed.
  func tear() throws {
    let last = try #require(try segments().last)
    var bytes = Array(try Data(contentsOf: URL(filePath: last)))
    bytes += bytes[12..<16] + [UInt8](repeating: 7, count: 31)
    try Data(bytes).write(to: URL(filePath: last))
  }
}

/// What random tests begin with: POSTERN_TEST_SEED repeats an earlier run.
func testSeed(_ name: String) -> UInt64 {
  let seed =
    ProcessInfo.processInfo.environment["POSTERN_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
  print("\(name): seed \(seed)")
  return seed
}

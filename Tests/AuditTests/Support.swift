import Authority
import Foundation
import Instructions
import Linux
import Synchronization
import TestSupport

@testable import Audit

/// A directory of its own for each test, removed with its owner.
final class Scratch: Sendable {
  let path: String

  init() throws {
    // In memory where that is possible: the tests sync thousands of times.
    let parent = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
    path = "\(parent)/postern-audit-\(UInt64.random(in: 0...UInt64.max))"
    _ = try JournalDirectory(path: path, create: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The segments' names, oldest first.
  func segments() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".pj") }.sorted()
  }

  func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: "\(path)/\(name)"))) }

  func put(_ bytes: [UInt8], _ name: String) throws { try Data(bytes).write(to: URL(filePath: "\(path)/\(name)")) }

  /// Everything a reader meets from `sequence` on.
  func items(from sequence: UInt64 = 0) throws -> [JournalItem] {
    var reader = try JournalReader(directory: path, from: sequence)
    var items: [JournalItem] = []
    while let item = try reader.next() { items.append(item) }
    return items
  }

  func records(from sequence: UInt64 = 0) throws -> [AuditRecord] {
    try items(from: sequence).compactMap { if case .record(let record) = $0 { record } else { nil } }
  }

  func open(
    fault: (@Sendable (JournalStep) -> Int32?)? = nil, onDurable: @escaping @Sendable (UInt64) -> Void = { _ in },
    now: @escaping @Sendable () -> AuditTime = { clock() }, change: (inout JournalConfiguration) -> Void = { _ in }
  ) throws -> Journal {
    var configuration = JournalConfiguration(directory: path, boot: boot, syncInterval: 5, retryInterval: 2)
    change(&configuration)
    // A process that another test is starting has our lock open between its fork and its exec.
    for _ in 0..<25 {
      do throws(JournalError) {
        return try Journal(configuration, fault: fault, now: now, onDurable: onDurable)
      } catch {
        guard case .locked = error else { throw error }
        usleep(20_000)
      }
    }
    return try Journal(configuration, fault: fault, now: now, onDurable: onDurable)
  }

  /// What verifying says with the first key, which still waits.
  func verified() throws -> Verification {
    try Verification(directory: path, cards: try KeyCard.waiting(directory: path).map { [$0] } ?? [])
  }

  /// Leaves what lies beside the segments as a process does that was killed before it said that anything is on disk.
  ///
  /// - Parameter key: the key file's bytes of then.
  func unsay(_ key: [UInt8]) throws {
    try put(key, KeyFile.name)
    try? FileManager.default.removeItem(atPath: "\(path)/\(Checkpoint.fileName)")
    let directory = try JournalDirectory(path: path)
    guard var file = try KeyFile.open(directory) else { return }
    var state = file.state
    state.durable = 0
    try file.store(state)
  }

  /// Writes records, each on its own, and closes the journal.
  func write(_ records: [AuditRecord]) throws {
    let journal = try open()
    for record in records { _ = journal.submit(record, durability: .none) }
    journal.stop()
  }
}

let boot = BootID(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)

@Sendable func clock() -> AuditTime {
  let elapsed = ContinuousClock().systemEpoch.duration(to: .now).components
  let boottime = UInt64(elapsed.seconds) * 1_000_000_000 + UInt64(elapsed.attoseconds / 1_000_000_000)
  return AuditTime(wall: 1_700_000_000_000_000_000 + boottime, boottime: boottime)
}

func refusal(_ object: ByteString = "scratch", _ reason: Reason = .limit) -> AuditRecord {
  var record = AuditRecord(refusal: Refusal(reason), time: AuditTime(wall: 1, boottime: 2), boot: boot)
  record.object = object
  return record
}

/// A thread that is joined at the latest when its owner goes.
final class JoinedThread: Sendable {
  private let thread: Mutex<Linux.Thread?>

  init(_ body: @escaping @Sendable () -> Void) throws { thread = Mutex(try Linux.Thread("test", body)) }

  deinit { if let thread = thread.withLock({ $0.take() }) { thread.join() } }
}

/// Lets a writer thread stand still at a step until the test lets it go.
final class Gate: Sendable {
  private let reached: EventDescriptor
  private let released: EventDescriptor
  private let isOpen = Atomic(false)

  init() throws {
    reached = try EventDescriptor()
    released = try EventDescriptor()
  }

  func pass() {
    if isOpen.load(ordering: .acquiring) { return }
    reached.signal()
    released.wait(milliseconds: 20_000)
  }

  /// For a journal whose writer shall stand still before it makes a segment.
  var atCreate: @Sendable (JournalStep) -> Int32? {
    { [self] step in
      if step == .create { pass() }
      return nil
    }
  }

  func waitUntilReached() { reached.wait(milliseconds: 20_000) }

  func release() {
    isOpen.store(true, ordering: .releasing)
    released.signal()
  }
}

/// An errno that steps fail with while it is set.
final class Faults: Sendable {
  private let failing = Mutex<[JournalStep: Int32]>([:])

  func set(_ step: JournalStep, _ errno: Int32?) { failing.withLock { $0[step] = errno } }
  func check(_ step: JournalStep) -> Int32? { failing.withLock { $0[step] } }
}

/// Completions as a broker collects them.
final class Completions: Sendable {
  private let all = Mutex<[JournalCompletion]>([])
  private let signal: EventDescriptor

  init() throws { signal = try EventDescriptor() }

  func wake() { signal.signal() }

  /// Waits until there are `count` in all.
  func wait(_ count: Int, _ journal: Journal) -> [JournalCompletion] {
    let deadline = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < deadline {
      let now = all.withLock {
        $0 += journal.takeCompletions()
        return $0
      }
      if now.count >= count { return now }
      signal.wait(milliseconds: 100)
    }
    return all.withLock { $0 }
  }
}

/// Waits until `condition` holds, at most 20 seconds; whether it did.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
  for _ in 0..<4000 {
    if try condition() { return true }
    usleep(5000)
  }
  return false
}

extension AuditRecord {
  /// Any record, each field there or not.
  static func random(_ generator: inout SplitMix) -> AuditRecord {
    func maybe<Value>(_ value: (inout SplitMix) -> Value?) -> Value? {
      Bool.random(using: &generator) ? value(&generator) : nil
    }
    func number<Number: FixedWidthInteger>(_ generator: inout SplitMix) -> Number {
      Number(truncatingIfNeeded: generator.next())
    }
    func text(_ generator: inout SplitMix) -> ByteString {
      ByteString(
        bytes: (0..<Int.random(in: 0...80, using: &generator)).map { _ in
          UInt8.random(in: 0...255, using: &generator)
        })
    }
    var record = AuditRecord(
      AuditKind.allCases.randomElement(using: &generator) ?? .refusal,
      time: AuditTime(wall: number(&generator), boottime: number(&generator)),
      boot: BootID(high: number(&generator), low: number(&generator)))
    record.reason = maybe { Reason.allCases.randomElement(using: &$0) }
    record.detail = maybe { RefusalDetail.allCases.randomElement(using: &$0) }
    record.errno = maybe { number(&$0) }
    record.path = maybe { OperationPath.allCases.randomElement(using: &$0) }
    record.operation = maybe { Opcode.allCases.randomElement(using: &$0) }
    record.operations = maybe { OperationSet(rawValue: number(&$0)) }
    record.operands = maybe { generator in
      var operands = Operands(
        offset: Bool.random(using: &generator) ? number(&generator) : 0,
        length: Bool.random(using: &generator) ? number(&generator) : 0,
        request: Bool.random(using: &generator) ? number(&generator) : 0)
      if Bool.random(using: &generator) {
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        for index in bytes.indices { bytes[index] = number(&generator) }
        operands.address = NetworkAddress(family: .ipv6, bytes: bytes, port: number(&generator))
      }
      return operands
    }
    record.object = maybe { text(&$0) }
    record.application = maybe { text(&$0) }
    record.association = maybe { AssociationID(rawValue: number(&$0)) }
    record.pid = maybe { number(&$0) }
    record.tid = maybe { number(&$0) }
    record.processStart = maybe { number(&$0) }
    record.uid = maybe { number(&$0) }
    record.executable = maybe { FileIdentity(device: number(&$0), inode: number(&$0)) }
    record.executablePath = maybe { text(&$0) }
    record.cgroup = maybe { text(&$0) }
    record.generation = maybe { number(&$0) }
    record.grant = maybe { text(&$0) }
    record.message = maybe { text(&$0) }
    record.cause = maybe { DropCause.allCases.randomElement(using: &$0) }
    record.gap = maybe { generator in
      let first = UInt64.random(in: 0...1 << 40, using: &generator)
      var gap = Gap(first: first, last: first + UInt64.random(in: 0...1 << 20, using: &generator), counts: [])
      for reason in Reason.allCases where Bool.random(using: &generator) {
        gap.counts.append(Gap.Count(reason: reason, count: number(&generator)))
      }
      if Bool.random(using: &generator) { gap.counts.append(Gap.Count(reason: nil, count: number(&generator))) }
      return gap
    }
    record.circumstances = maybe { Circumstances.random(&$0) }
    record.redacted = Redaction(rawValue: maybe { number(&$0) } ?? 0)
    record.removal = maybe { Removal(first: number(&$0), last: number(&$0)) }
    record.runtimeGrant = maybe { RuntimeGrantTerm(id: number(&$0), expiry: number(&$0) as UInt64 | 1) }
    record.repair = maybe { Repair(segment: number(&$0), offset: number(&$0), lost: number(&$0)) }
    return record
  }

  /// The frame as it stands in a segment, with an empty tag.
  func frame(marker: UInt32 = 7) -> [UInt8] {
    var bytes: [UInt8] = []
    AuditRecord.encodeFrame(kind: kind, sequence: sequence, body: encodedBody(), isSealed: true, into: &bytes)
    Frame.protect(&bytes, 0..<bytes.count, marker: marker)
    return bytes
  }
}

extension Circumstances {
  static func random(_ generator: inout SplitMix) -> Circumstances {
    func file(_ generator: inout SplitMix) -> FileIdentity? {
      Bool.random(using: &generator) ? FileIdentity(device: generator.next(), inode: generator.next()) : nil
    }
    let subject = Subject(
      process: ProcessResource(tgid: 1, start: 1),
      effectiveGID: Bool.random(using: &generator) ? UInt32.random(in: 0...UInt32.max, using: &generator) : nil,
      supplementaryGIDs: (0..<Int.random(in: 0...20, using: &generator)).map { _ in
        UInt32.random(in: 0...UInt32.max, using: &generator)
      }, pidNamespace: file(&generator), networkNamespace: file(&generator),
      traced: [nil, true, false].randomElement(using: &generator) ?? nil)
    let causes: [RefusalCause?] = [
      nil, .unknownObject, .noGrant, .noMatchingApplication, .unknownFact("tracer"), .standingRevoke(generator.next()),
      .operationsMissing(OperationSet([.read, .write])), .namespaceRule, .tracerRule, .forkRule, .pathRule("why"),
      .recallRule(""),
    ]
    return Circumstances(
      Question.allCases.randomElement(using: &generator) ?? .open,
      OperationSet(rawValue: UInt32.random(in: 0...UInt32.max, using: &generator)), subject: subject,
      program: file(&generator),
      brokerPIDNamespace: file(&generator), brokerNetworkNamespace: file(&generator),
      descendsFromHolder: Bool.random(using: &generator),
      availablePaths: PathSet(rawValue: UInt8.random(in: 0...255, using: &generator)),
      cause: causes.randomElement(using: &generator) ?? nil,
      mismatch: (SelectorKey.allCases + [nil]).randomElement(using: &generator) ?? nil)
  }
}

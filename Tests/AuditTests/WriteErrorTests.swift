import Foundation
import TestSupport
import Glibc
import Instructions
import Linux
import Testing

@testable import Audit

@Suite struct WriteErrorTests {
  @Test(arguments: [JournalStep.create, .write, .synchronize])
  func `while a step fails required records are reported and refusals wait`(step: JournalStep) throws {
    let scratch = try Scratch()
    let faults = Faults()
    let completions = try Completions()
    let journal = try scratch.open(fault: { faults.check($0) }, onDurable: { _ in completions.wake() })
    if step != .create {
      _ = journal.submit(refusal("first"), durability: .required(token: 1))
      #expect(completions.wait(1, journal).map(\.outcome) == [.durable])
    }
    let before = completions.wait(0, journal).count
    faults.set(step, ENOSPC)
    _ = journal.submit(refusal("kept"), durability: .none)
    _ = journal.submit(AuditRecord(.grant, time: clock(), boot: boot), durability: .required(token: 2))
    _ = journal.submit(refusal("kept too"), durability: .none)
    let failed = completions.wait(before + 1, journal)
    #expect(failed.last?.token == 2)
    #expect(failed.last?.outcome == .failed(errno: ENOSPC))
    #expect(eventually { journal.counters.failing == ENOSPC })
    #expect(journal.counters.writeErrors > 0)
    faults.set(step, nil)
    #expect(eventually { journal.counters.failing == nil })
    _ = journal.submit(AuditRecord(.grant, time: clock(), boot: boot), durability: .required(token: 3))
    #expect(completions.wait(before + 2, journal).last?.outcome == .durable)
    journal.stop()

    let records = try scratch.records()
    #expect(records.compactMap(\.object) == (step == .create ? [] : ["first"]) + ["kept", "kept too"])
    #expect(records.filter { $0.kind == .grant }.count == 1, "the grant that was denied is in no record")
    let gap = try #require(records.first { $0.kind == .gap }?.gap)
    #expect(gap.first == failed.last?.sequence && gap.counts == [Gap.Count(reason: nil, count: 1)])
    for (record, following) in zip(records, records.dropFirst()) {
      #expect(following.sequence == record.nextSequence, "no number is missing without a word")
    }
    let verified = try scratch.verified()
    #expect(verified.integrity == .intact && verified.missing.isEmpty, "\(verified.lines)")
  }

  @Test func `a grant whose sync failed is superseded even where the file cannot be cut`() throws {
    let scratch = try Scratch()
    let faults = Faults()
    let completions = try Completions()
    let journal = try scratch.open(fault: { faults.check($0) }, onDurable: { _ in completions.wake() })
    _ = journal.submit(refusal("first"), durability: .required(token: 1))
    #expect(completions.wait(1, journal).count == 1)
    faults.set(.truncate, EIO)
    faults.set(.synchronize, EIO)
    _ = journal.submit(AuditRecord(.grant, time: clock(), boot: boot), durability: .required(token: 2))
    #expect(completions.wait(2, journal).last?.outcome == .failed(errno: EIO))
    faults.set(.synchronize, nil)
    faults.set(.truncate, nil)
    #expect(eventually { journal.counters.failing == nil })
    journal.stop()
    let old = try scratch.bytes("journal-00000000000000000001.pj")
    #expect(old.count > SegmentHeader.length + refusal("first").frame().count, "the cut did fail")
    for records in [
      try scratch.records(),
      try JournalReader.newest(100, directory: scratch.path).compactMap {
        if case .record(let record) = $0 { record } else { nil }
      },
    ] {
      #expect(!records.contains { $0.kind == .grant })
      #expect(records.map(\.kind).prefix(2) == [.refusal, .gap])
      #expect(records.contains { $0.kind == .repair && $0.errno == EIO })
    }
    let verified = try scratch.verified()
    #expect(verified.integrity == .intact && verified.completeness == .repaired, "\(verified.lines)")
  }

  @Test func `a journal whose last records cannot be brought to disk is not opened, and later it is`() throws {
    let scratch = try Scratch()
    try scratch.write([refusal("first"), refusal("last")])
    #expect(throws: JournalError.system(SystemError(errno: EIO, operation: "synchronize"))) {
      try scratch.open(fault: { $0 == .synchronize ? EIO : nil }).stop()
    }
    let journal = try scratch.open()
    #expect(journal.counters.durable == 2)
    journal.stop()
    #expect(try scratch.records().map(\.object) == ["first", "last"])
    #expect(try scratch.verified().isGood)
  }

  /// A head that an earlier process has put there, whose key is gone, and no record behind it.
  @Test(arguments: [false, true])
  func `a resumed segment without records stays where its first sync fails`(isCutFailing: Bool) throws {
    let scratch = try Scratch()
    let faults = Faults()
    let completions = try Completions()
    try scratch.write([refusal("before")])
    let ended = try scratch.open(fault: { faults.check($0) }, change: { $0.segmentSize = 1 })
    faults.set(.write, ENOSPC)
    _ = ended.submit(refusal("lost with the process"), durability: .none)
    #expect(eventually { ended.counters.failing == ENOSPC })
    ended.stop()
    let name = try #require(try scratch.segments().last)
    let head = try scratch.bytes(name)
    #expect(try scratch.segments().count == 2 && head.count == SegmentHeader.length)
    faults.set(.write, nil)

    let journal = try scratch.open(fault: { faults.check($0) }, onDurable: { _ in completions.wake() })
    faults.set(.synchronize, EIO)
    if isCutFailing { faults.set(.truncate, EIO) }
    _ = journal.submit(refusal("waits"), durability: .none)
    _ = journal.submit(AuditRecord(.grant, time: clock(), boot: boot), durability: .required(token: 1))
    #expect(completions.wait(1, journal).map(\.outcome) == [.failed(errno: EIO)])
    faults.set(.synchronize, nil)
    faults.set(.truncate, nil)
    #expect(eventually { journal.counters.failing == nil })
    _ = journal.submit(refusal("after"), durability: .required(token: 2))
    #expect(completions.wait(2, journal).last?.outcome == .durable)
    journal.stop()

    #expect(try Array(scratch.bytes(name).prefix(head.count)) == head)
    let items = try scratch.items()
    let records = try scratch.records()
    #expect(items.count == records.count && !records.contains { $0.kind == .grant })
    #expect(records.compactMap(\.object) == ["before", "waits", "after"])
    #expect(records.contains { $0.kind == .repair && $0.errno == EIO })
    let verified = try scratch.verified()
    #expect(verified.integrity == .intact && verified.completeness == .repaired, "\(verified.lines)")
    #expect(verified.missing.isEmpty && verified.lostEpochs == 0)
  }

  @Test func `refusals beyond the capacity become a gap while writing fails`() throws {
    let scratch = try Scratch()
    let faults = Faults()
    faults.set(.write, EIO)
    let journal = try scratch.open(fault: { faults.check($0) }, change: { $0.capacity = 8 })
    var last: UInt64 = 0
    for _ in 0..<200 {
      switch journal.submit(refusal(), durability: .none) {
      case .queued(let sequence), .counted(let sequence): last = sequence
      case .full: Issue.record("a refusal always has a number")
      }
      if last % 20 == 0 { usleep(3000) }
    }
    #expect(last == 200)
    #expect(journal.counters.depth <= 2 * 8 + 4)
    faults.set(.write, nil)
    #expect(eventually { journal.counters.failing == nil })
    journal.stop()
    let records = try scratch.records()
    let kept = UInt64(records.filter { $0.kind == .refusal }.count)
    let counted = records.compactMap(\.gap).flatMap(\.counts).reduce(0) { $0 + $1.count }
    #expect(kept + counted == 200)
    #expect(counted == journal.counters.dropped)
    #expect(records.last?.nextSequence == 201)
    let verified = try scratch.verified()
    #expect(verified.isGood && verified.dropped == counted)
  }

  @Test func `a full disk fails grants, keeps what was acknowledged and recovers`() throws {
    let scratch = try Scratch()
    guard try run("/bin/mount", ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", scratch.path]) == 0 else {
      if ProcessInfo.processInfo.environment["POSTERN_REQUIRE_ALL_TIERS"] != nil {
        Issue.record("a tmpfs cannot be mounted, and every tier is required")
      }
      print("SKIPPED: a full disk needs a tmpfs of its own, which only root can mount")
      return
    }
    defer { _ = try? run("/bin/umount", [scratch.path]) }
    let completions = try Completions()
    let journal = try scratch.open(onDurable: { _ in completions.wake() })
    try scratch.put([UInt8](repeating: 0, count: 32 << 10), "ballast")
    var tokens: UInt64 = 0
    var all: [JournalCompletion] = []
    while all.last?.outcome != .failed(errno: ENOSPC), tokens < 1000 {
      tokens += 1
      _ = journal.submit(refusal(ByteString("\(tokens)")), durability: .required(token: tokens))
      all = completions.wait(Int(tokens), journal)
    }
    #expect(all.last?.outcome == .failed(errno: ENOSPC))
    let acknowledged = all.filter { $0.outcome == .durable }.map(\.sequence)
    #expect(acknowledged.count > 20)
    _ = journal.submit(refusal("waits"), durability: .none)
    try FileManager.default.removeItem(atPath: "\(scratch.path)/ballast")
    #expect(eventually { journal.counters.failing == nil })
    _ = journal.submit(refusal("after"), durability: .required(token: 9999))
    #expect(completions.wait(Int(tokens) + 1, journal).last?.outcome == .durable)
    journal.stop()
    let items = try scratch.items()
    let records = try scratch.records()
    #expect(items.count == records.count, "nothing unreadable is left")
    #expect(Set(acknowledged).isSubset(of: Set(records.filter { $0.kind == .refusal }.map(\.sequence))))
    #expect(records.contains { $0.object == "waits" } && records.contains { $0.object == "after" })
    #expect(!records.contains { $0.object == ByteString("\(tokens)") }, "the failed one is in no record")
    #expect(records.contains { $0.kind == .gap })
    for (record, following) in zip(records, records.dropFirst()) {
      #expect(following.sequence == record.nextSequence)
    }
    let verified = try scratch.verified()
    #expect(verified.integrity == .intact && verified.missing.isEmpty, "\(verified.lines)")
    #expect(verified.completeness == .repaired || verified.repairs.isEmpty)
    #expect(verified.dropped > 0)
  }
}

/// Runs a program and waits; its exit status.
private func run(_ program: String, _ arguments: [String]) throws -> Int32 {
  let process = Process()
  process.executableURL = URL(filePath: program)
  process.arguments = arguments
  process.standardError = FileHandle.nullDevice
  try ChildProcess.start(process)
  process.waitUntilExit()
  return process.terminationStatus
}

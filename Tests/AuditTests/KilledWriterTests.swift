import Foundation
import Instructions
import Linux
import Synchronization
import TestSupport
import Testing

@testable import Audit

/// A writing process that is killed in the middle: what it was told is on disk has to be there.
@Suite struct KilledWriterTests {
  /// How many are killed: a hundredth in an ordinary run.
  private static let rounds = ProcessInfo.processInfo.environment["POSTERN_SOAK"] == nil ? 10 : 1000
  /// How many share a journal, all of which each of them reads.
  private static let life = 50

  @Test func `what was acknowledged before kill -9 is there, in order, with its tag, and recording goes on`()
    async throws
  {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SplitMix(state: seed)
    for first in stride(from: 0, to: KilledWriterTests.rounds, by: KilledWriterTests.life) {
      try await live(first..<min(first + KilledWriterTests.life, KilledWriterTests.rounds), &generator, seed)
    }
  }

  /// The rounds of one journal.
  private func live(_ rounds: Range<Int>, _ generator: inout SplitMix, _ seed: UInt64) async throws {
    let scratch = try Scratch()
    let path = scratch.path
    var card: KeyCard?
    var known = 0
    for round in rounds {
      let pause = UInt32.random(in: 500...60_000, using: &generator)
      let number = round
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [path = path as String, pause = pause as UInt32, number = number as Int] in
        try KilledWriterTests.write(path, pause, round: number)
      }
      let acknowledged = try acknowledgements(scratch)
      #expect(acknowledged.count >= known, "seed \(seed) round \(round)")
      known = acknowledged.count
      if card == nil { card = try KeyCard.waiting(directory: path) }
      let records = try scratch.records()
      let there = Dictionary(grouping: records.filter { $0.kind == .grant }, by: \.sequence)
      #expect(acknowledged.allSatisfy { there[$0]?.count == 1 }, "seed \(seed) round \(round)")
      let verified = try Verification(directory: path, cards: card.map { [$0] } ?? [])
      #expect(!verified.isBad && verified.missing.isEmpty, "seed \(seed) round \(round): \(verified.lines)")
    }
    #expect(known > rounds.count, "seed \(seed): the writers were killed before they wrote anything")
    // Another process goes on where they ended.
    try scratch.write([refusal("after all")])
    #expect(try scratch.records().last?.object == "after all")
    let verified = try Verification(directory: path, cards: [try #require(card)])
    #expect(verified.integrity == .intact && verified.missing.isEmpty)
    #expect(verified.completeness == (verified.repairs.isEmpty ? .complete : .repaired))
  }

  /// The numbers that writers were told are on disk, as they noted them before they were killed.
  private func acknowledgements(_ scratch: Scratch) throws -> [UInt64] {
    let bytes = try scratch.bytes("acknowledged")
    return stride(from: 0, to: bytes.count - 7, by: 8).map { littleEndian64(bytes.span, at: $0) }
  }

  /// Runs in the process that is killed.
  private static func write(_ path: String, _ pause: UInt32, round: Int) throws {
    let log = try AppendFile("\(path)/acknowledged")
    let woken = try EventDescriptor()
    let signal = Waker(woken)
    var configuration = JournalConfiguration(
      directory: path, boot: boot, segmentSize: 20_000, syncInterval: 3, retryInterval: 2)
    configuration.checkpointInterval = 5_000_000
    let journal = try Journal(configuration, now: { clock() }, onDurable: { _ in signal.wake() })
    let killer = try JoinedThread {
      usleep(pause)
      kill(getpid(), SIGKILL)
    }
    var token: UInt64 = 0
    while true {
      for _ in 0..<UInt64.random(in: 1...20) {
        token += 1
        _ = journal.submit(refusal(ByteString("r\(round)")), durability: .none)
        _ = journal.submit(
          AuditRecord(.grant, time: clock(), boot: boot), durability: .required(token: token))
      }
      signal.wait()
      for completion in journal.takeCompletions() where completion.outcome == .durable {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(completion.sequence)
        try log.append(bytes)
      }
    }
    _ = killer
  }
}

private final class Waker: Sendable {
  private let event: EventDescriptor

  init(_ event: consuming EventDescriptor) { self.event = event }

  func wake() { event.signal() }
  func wait() { event.wait(milliseconds: 50) }
}

import Foundation
import Instructions
import Testing

@testable import Audit

@Suite struct AppendRate {
  /// Prints a figure; what it must be stands in the design, and only a quiet machine can tell.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["POSTERN_BENCH"] == "1"))
  func `records appended in a second with group commit`() throws {
    let scratch = try Scratch()
    let journal = try scratch.open()
    var record = refusal("scratch")
    record.application = "reader"
    record.pid = 1
    record.uid = 1000
    record.operation = .read
    record.executablePath = "/usr/bin/reader"
    let total = 1_000_000
    let start = ContinuousClock.now
    for _ in 0..<total {
      // Room is waited for, so that every record is written and none is counted in a gap.
      while journal.counters.waiting > 6000 { usleep(100) }
      _ = journal.submit(record, durability: .none)
    }
    journal.stop()
    let components = start.duration(to: .now).components
    let seconds = Double(components.seconds) + Double(components.attoseconds) / 1e18
    #expect(journal.counters.durable == UInt64(total) && journal.counters.dropped == 0)
    print("audit append: \(Int(Double(total) / seconds)) records/s (\(total) records in \(seconds) s)")
  }
}

import Audit
import Authority
import Foundation
import Instructions
import Linux
import Testing

@testable import PosternCommands

/// `audit sync` and `audit list --database`, on a journal of their own.
@Suite struct SyncTests {
  private func journal(_ count: Int) throws -> String {
    let path = "/tmp/postern-sync-\(UInt64.random(in: 0...UInt64.max))"
    let time = AuditTime(wall: 1_700_000_000_000_000_000, boottime: 1)
    let journal = try Journal(
      JournalConfiguration(directory: path, boot: BootID(high: 1, low: 2)), now: { time }, onDurable: { _ in })
    for number in 0..<count {
      var record = AuditRecord(
        refusal: Refusal(number.isMultiple(of: 2) ? .limit : .operation), time: time, boot: BootID(high: 1, low: 2))
      record.object = "scratch\u{1B}[31m"
      _ = journal.submit(record, durability: .none)
    }
    journal.stop()
    return path
  }

  @Test func `a journal is brought into a file, once, and the file answers for it`() throws {
    let path = try journal(10)
    defer { try? FileManager.default.removeItem(atPath: path) }
    for applied in ["10 records", "0 records"] {
      let surroundings = RecordedSurroundings()
      #expect(surroundings.run("audit", "sync", "--once", "--state-dir", path) == .done)
      #expect(surroundings.printed.hasPrefix(applied))
      #expect(surroundings.printed.hasSuffix("lag 0\n"))
    }
    let list = RecordedSurroundings()
    let database = path + "/analysis.sqlite"
    #expect(
      list.run("audit", "list", "--database", database, "--reason", "limit", "--format", "json") == .done)
    #expect(list.printed.split(separator: "\n").count == 5)
    #expect(!list.output.contains(0x1B))
    let count = RecordedSurroundings()
    #expect(count.run("audit", "list", "--database", database, "--reason", "operation", "--count") == .done)
    #expect(count.printed == "5\n")
  }

  @Test func `what cannot be done is said with its exit code`() throws {
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("audit", "sync", "--follow", "--once") == .usage)
    #expect(surroundings.run("audit", "list", "--count") == .usage)
    #expect(surroundings.run("audit", "sync", "--accept-loss", "9-3") == .usage)
    let path = try journal(1)
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(
      surroundings.run("audit", "sync", "--state-dir", path, "--database", "postgresql://a@%2Fnowhere/b")
        == .unreachable)
    #expect(surroundings.run("audit", "list", "--database", path + "/none.sqlite") == .unreachable)
  }
}

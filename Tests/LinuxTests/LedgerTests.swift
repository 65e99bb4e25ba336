import Foundation
import Glibc
import Testing

@testable import Linux

@Suite final class LedgerTests {
  let ledger: NotificationLedger
  let reader: NotificationLedgerReader

  init() throws {
    let ledger = try NotificationLedger()
    reader = try NotificationLedgerReader(try ledger.duplicate())
    self.ledger = ledger
  }

  private func unanswered() -> Set<UInt64> { Set(reader.unanswered().ids) }

  @Test func `a new ledger has nothing`() {
    #expect(reader.unanswered().ids == [])
    #expect(reader.unanswered().highest == nil)
  }

  @Test func `what has begun and not ended is unanswered`() {
    // Ids begin anywhere, and 0 comes after the last number.
    for id: UInt64 in [.max - 1, .max, 0, 1] { #expect(ledger.begin(id) == true) }
    #expect(unanswered() == [UInt64.max - 1, .max, 0, 1])
    #expect(reader.unanswered().highest == 1)
    ledger.end(.max)
    ledger.end(0)
    #expect(unanswered() == [UInt64.max - 1, 1])
    #expect(reader.unanswered().highest == 1)
  }

  @Test func `an older id does not lower the highest`() {
    #expect(ledger.begin(9) == true)
    #expect(ledger.begin(8) == true)
    #expect(reader.unanswered().highest == 9)
  }

  @Test func `the end of what never began changes nothing`() {
    #expect(ledger.begin(1) == true)
    ledger.end(2)
    #expect(unanswered() == [1])
  }

  @Test func `with no slot free a begin says so, and a slot that is given back serves again`() {
    for id in 0..<UInt64(NotificationLedger.capacity) { #expect(ledger.begin(id) == true) }
    #expect(ledger.begin(1000) == false)
    #expect(!unanswered().contains(1000))
    #expect(reader.unanswered().highest == 1000)
    ledger.end(7)
    #expect(ledger.begin(1001) == true)
    #expect(unanswered() == Set(0..<UInt64(NotificationLedger.capacity)).subtracting([7]).union([1001]))
  }

  @Test func `threads that begin and end at once lose nothing`() throws {
    let shared = SharedLedger(try NotificationLedger())
    let reader = try NotificationLedgerReader(try shared.ledger.duplicate())
    func work(_ number: UInt64) throws -> Linux.Thread {
      try Linux.Thread("ledger") {
        for round in 0..<10_000 as Range<UInt64> {
          let id = number << 32 | round
          _ = shared.ledger.begin(id)
          if round != 5000 { shared.ledger.end(id) }
        }
      }
    }
    let one = try work(1)
    let other = try work(2)
    one.join()
    other.join()
    let left: Set<UInt64> = [1 << 32 | 5000, 2 << 32 | 5000]
    #expect(Set(reader.unanswered().ids) == left)
  }

  private final class SharedLedger: Sendable {
    let ledger: NotificationLedger
    init(_ ledger: consuming NotificationLedger) { self.ledger = ledger }
  }

  @Test func `whoever has the file cannot write it, grow it or shrink it`() throws {
    let given = try ledger.duplicate()
    var byte: UInt8 = 1
    #expect(unsafe pwrite(given.rawValue, &byte, 1, 0) == -1)
    #expect(ftruncate(given.rawValue, 0) == -1)
    #expect(unsafe mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, given.rawValue, 0) == MAP_FAILED)
    // Who may open the file anew, as root may, meets the seals.
    let anew = try given.reopen(.readWrite)
    #expect(unsafe pwrite(anew.rawValue, &byte, 1, 0) == -1)
    #expect(errno == EPERM)
    #expect(ftruncate(anew.rawValue, 0) == -1)
    #expect(ftruncate(anew.rawValue, 1 << 20) == -1)
    #expect(unsafe mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, anew.rawValue, 0) == MAP_FAILED)
  }

  @Test func `what is no ledger is not read`() throws {
    let folder = FileManager.default.temporaryDirectory.path
    let path = folder + "/postern-" + UUID().uuidString
    try Data(repeating: 0, count: 1 << 20).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    for wrong in [path, "/dev/null", "/proc/self/status"] {
      let error = #expect(throws: SystemError.self) {
        _ = try NotificationLedgerReader(try ProcFile.open(wrong))
      }
      #expect(error?.errno == EINVAL)
    }
  }
}

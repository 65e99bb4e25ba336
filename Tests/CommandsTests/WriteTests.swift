import Instructions
import Synchronization
import Testing
import Wire

@testable import PosternCommands

/// A disk that keeps what is written to it and refuses what crosses its end, as DESIGN has it.
private final class Medium: Sendable {
  let bytes: Mutex<[UInt8]>
  init(_ count: Int) { bytes = Mutex([UInt8](repeating: 0, count: count)) }

  func broker() throws -> FakeBroker {
    let count = bytes.withLock { $0.count }
    return try FakeBroker(length: UInt64(count)) { frame, payload in
      guard frame.action == .perform(.write) else { return .refused(.operation) }
      let start = Int(frame.operands.offset)
      guard start <= count, payload.count <= count - start else { return .refused(.limit) }
      self.bytes.withLock { $0.replaceSubrange(start..<(start + payload.count), with: payload) }
      return .wrote(payload.count)
    }
  }

  var content: [UInt8] { bytes.withLock { $0 } }
}

@Suite struct WriteTests {
  @Test func `what comes in on the standard input stands on the object`() throws {
    let medium = Medium(200_000)
    let broker = try medium.broker()
    let input = (0..<150_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
    let surroundings = RecordedSurroundings(input: input)
    #expect(surroundings.run("write", "scratch", "--offset", "50000", "--socket", broker.path) == .done)
    #expect(Array(medium.content[50_000...]) == input)
    #expect(surroundings.printed == "")
  }

  @Test(arguments: [10, 70_000]) func `input that crosses the end writes nothing and is refused by the broker`(
    room: Int
  ) throws {
    let medium = Medium(200_000)
    let broker = try medium.broker()
    for inputIsFile in [true, false] {
      let surroundings = RecordedSurroundings(
        input: [UInt8](repeating: 7, count: room + 1), inputIsFile: inputIsFile)
      let status = surroundings.run(
        "write", "scratch", "--offset", "\(200_000 - room)", "--socket", broker.path)
      #expect(status == .denied)
      #expect(surroundings.complained.contains("refused: limit (EPERM)"))
      #expect(medium.content.allSatisfy { $0 == 0 })
    }
  }

  @Test func `input that ends exactly at the end is written`() throws {
    let medium = Medium(4096)
    let broker = try medium.broker()
    let surroundings = RecordedSurroundings(input: [UInt8](repeating: 1, count: 4096))
    #expect(surroundings.run("write", "scratch", "--socket", broker.path) == .done)
    #expect(medium.content.allSatisfy { $0 == 1 })
  }

  @Test func `empty input writes nothing and is done`() throws {
    let broker = try Medium(16).broker()
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("write", "scratch", "--format", "json", "--socket", broker.path) == .done)
    let json = try #require(try surroundings.json() as? [String: Any])
    #expect(json["written"] as? Int == 0)
  }

  @Test func `a full medium exits 74 and says how much was written`() throws {
    let broker = try FakeBroker(length: 1 << 20) { frame, payload in
      frame.operands.offset < 131_072 ? .wrote(payload.count) : .failed(28)
    }
    let surroundings = RecordedSurroundings(input: [UInt8](repeating: 1, count: 300_000))
    #expect(surroundings.run("write", "scratch", "--socket", broker.path) == .failed)
    #expect(surroundings.complained.contains("131072 bytes were written"))
    #expect(surroundings.complained.contains("ENOSPC"))
  }
}

@Suite struct TransferTests {
  private func loopback() throws -> FakeBroker {
    try FakeBroker(kind: .bus) { frame, payload in
      let count = Int(frame.operands.length)
      return .read(Array((payload + [UInt8](repeating: 0xEE, count: count)).prefix(count)))
    }
  }

  @Test func `a transfer prints what came back as hexadecimal digits`() throws {
    let broker = try loopback()
    let surroundings = RecordedSurroundings()
    let status = surroundings.run(
      "transfer", "sensor", "--write", "0aFF", "--read", "4", "--socket", broker.path)
    #expect(status == .done)
    #expect(surroundings.printed == "0affeeee\n")
  }

  @Test func `a transfer as JSON tells what was written and read`() throws {
    let broker = try loopback()
    let surroundings = RecordedSurroundings()
    surroundings.run("transfer", "s", "--write", "01", "--read", "1", "--format", "json", "--socket", broker.path)
    let json = try #require(try surroundings.json() as? [String: String])
    #expect(json == ["object": "s", "written": "01", "read": "01"])
  }

  @Test func `a NAK exits 74`() throws {
    let broker = try FakeBroker(kind: .bus) { _, _ in .failed(121) }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("transfer", "eeprom", "--write", "00", "--socket", broker.path) == .failed)
    #expect(surroundings.complained.contains("EREMOTEIO"))
  }

  @Test func `an operation that the kind lacks is denied`() throws {
    let broker = try FakeBroker(kind: .bus) { _, _ in .refused(.operation) }
    #expect(RecordedSurroundings().run("transfer", "pad", "--read", "1", "--socket", broker.path) == .denied)
  }
}

import Foundation
import Glibc
import Instructions
import Linux
import Testing
import Wire

@testable import PosternCommands

/// `read`, `write` and `transfer` where the broker gives out the object's own descriptor.
@Suite struct DirectTests {
  private let pattern = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

  /// A file of these bytes without a name, twice: one to give out, one to look at.
  private func file(_ bytes: [UInt8]) throws -> (broker: FakeBroker, content: () throws -> [UInt8]) {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("postern-\(UUID().uuidString)").path
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let broker = try FakeBroker(
      kind: .disk, length: UInt64(bytes.count), direct: try Descriptor.pin(path).reopen(.readWrite))
    return (
      broker,
      {
        defer { try? FileManager.default.removeItem(atPath: path) }
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      }
    )
  }

  @Test func `read gives exactly the bytes between offset and length`() throws {
    let (broker, content) = try file(pattern)
    let surroundings = RecordedSurroundings()
    #expect(
      surroundings.run("read", "scratch", "--offset", "70000", "--length", "140KiB", "--socket", broker.path) == .done)
    #expect(surroundings.output == Array(pattern[70_000..<(70_000 + 140 * 1024)]))
    _ = try content()
  }

  @Test func `read goes to the end, and the association is given up afterwards`() throws {
    let (broker, content) = try file(pattern)
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("read", "scratch", "--socket", broker.path) == .done)
    #expect(surroundings.output == pattern)
    #expect(broker.requests.last == .release(AssociationID(rawValue: 1), ring: 0))
    _ = try content()
  }

  @Test func `what comes in on the standard input stands on the object`() throws {
    let (broker, content) = try file(pattern)
    let input = [UInt8](repeating: 0xAB, count: 150_000)
    let surroundings = RecordedSurroundings(input: input)
    #expect(surroundings.run("write", "scratch", "--offset", "150000", "--socket", broker.path) == .done)
    #expect(try content() == Array(pattern[..<150_000]) + input)
  }

  @Test(arguments: [10, 100_000])
  func `input that crosses the end writes nothing and is denied`(room: Int) throws {
    let (broker, content) = try file(pattern)
    let surroundings = RecordedSurroundings(input: [UInt8](repeating: 0xAB, count: room + 1))
    let offset = "\(pattern.count - room)"
    #expect(surroundings.run("write", "scratch", "--offset", offset, "--socket", broker.path) == .denied)
    #expect(surroundings.complained.contains("limit"))
    #expect(try content() == pattern)
  }

  @Test func `a line is read for a second`() throws {
    let pair = try MessageSocket.pair()
    let broker = try FakeBroker(kind: .bus, length: 0, direct: try pair.first.duplicate())
    let bytes: [UInt8] = [1, 2, 3]
    _ = try bytes.withRawSpan { (span) throws(SystemError) in
      try MessageSocket.send(pair.second.rawValue, span, blocking: true)
    }
    let surroundings = RecordedSurroundings()
    let start = Clock.monotonic()
    #expect(surroundings.run("read", "modem", "--socket", broker.path) == .done)
    #expect(surroundings.output == [1, 2, 3])
    #expect(Clock.monotonic() - start >= 900_000_000)
  }

  @Test func `a transfer is not for this path, and ends as allowed but failed`() throws {
    let pair = try MessageSocket.pair()
    let broker = try FakeBroker(kind: .bus, length: 0, direct: try pair.first.duplicate())
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("transfer", "sensor", "--read", "1", "--socket", broker.path) == .failed)
    #expect(surroundings.complained.contains("not supported on the path direct"))
  }
}

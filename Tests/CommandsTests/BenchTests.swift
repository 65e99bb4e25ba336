import Instructions
import Testing
import Wire

@testable import PosternCommands

@Suite struct BenchTests {
  private func disk(_ answer: FakeBroker.Completed) throws -> FakeBroker {
    try FakeBroker(length: 4096) { frame, _ in
      frame.action == .perform(.info) ? answer : .failed(22)
    }
  }

  @Test func `bench measures with the cheapest operation that is granted`() throws {
    let broker = try disk(.read([UInt8](repeating: 0, count: 32)))
    let surroundings = RecordedSurroundings()
    let status = surroundings.run(
      "bench", "scratch", "--rounds", "3", "--format", "json", "--socket", broker.path)
    #expect(status == .done)
    let text = String(decoding: surroundings.output, as: UTF8.self)
    #expect(text.contains("\"operation\":\"info\"") && text.contains("\"rounds\":3"))
    #expect(!text.contains("\"oneNanoseconds\":0") && !text.contains("\"pingPongNanoseconds\":0"))
  }

  @Test func `bench asks for the path that it measures`() throws {
    let broker = try FakeBroker(length: 8) { _, _ in .refused(.operation) }
    RecordedSurroundings().run("bench", "scratch", "--rounds", "3", "--socket", broker.path)
    guard case .open(let open)? = broker.requests.first else {
      Issue.record("\(broker.requests)")
      return
    }
    #expect(open.path == .mediated)
  }

  @Test func `bench of an object that refuses says so and is denied`() throws {
    let broker = try disk(.refused(.revoked))
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("bench", "scratch", "--rounds", "3", "--socket", broker.path) == .denied)
    #expect(surroundings.complained.contains("revoked"))
  }

  @Test func `bench of an object that fails ends with allowed but failed`() throws {
    let broker = try disk(.failed(5))
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("bench", "scratch", "--rounds", "3", "--socket", broker.path) == .failed)
    #expect(surroundings.complained.contains("EIO"))
  }

  @Test func `bench does not measure with an operation that changes something`() throws {
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("bench", "scratch", "--operation", "write", "--socket", "/nowhere") == .usage)
  }
}

import Foundation
import Instructions
import Testing
import Wire

@testable import PosternCommands

/// A disk of these bytes.
private func disk(_ bytes: [UInt8], failingAt bad: Int = .max) throws -> FakeBroker {
  try FakeBroker(length: UInt64(bytes.count)) { frame, _ in
    let start = min(Int(frame.operands.offset), bytes.count)
    let end = min(start + Int(frame.operands.length), bytes.count)
    if end > bad { return .failed(5) }
    return .read(Array(bytes[start..<end]))
  }
}

private let pattern = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

@Suite struct ReadTests {
  @Test func `read without a length goes to the end`() throws {
    let broker = try disk(pattern)
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("read", "scratch", "--socket", broker.path) == .done)
    #expect(surroundings.output == pattern)
    #expect(surroundings.complained == "")
  }

  @Test func `read gives exactly the bytes between offset and length`() throws {
    let broker = try disk(pattern)
    let surroundings = RecordedSurroundings()
    surroundings.run("read", "scratch", "--offset", "70000", "--length", "140KiB", "--socket", broker.path)
    #expect(surroundings.output == Array(pattern[70_000..<(70_000 + 140 * 1024)]))
  }

  @Test func `read past the end writes nothing and is done`() throws {
    let broker = try disk(pattern)
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("read", "scratch", "--offset", "300000", "--socket", broker.path) == .done)
    #expect(surroundings.output == [])
  }

  @Test func `read of length 0 issues nothing`() throws {
    let broker = try FakeBroker(length: 8) { _, _ in .failed(5) }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("read", "scratch", "--length", "0", "--socket", broker.path) == .done)
  }

  @Test func `read asks for the operation read alone`() throws {
    let broker = try disk([1])
    RecordedSurroundings().run("read", "scratch", "--socket", broker.path)
    #expect(
      broker.requests.first
        == .open(Open(object: "scratch", operations: OperationSet(.read), accepts: [.direct, .ring])))
  }

  @Test func `what was read before an error is written, and the exit code is the error's`() throws {
    let broker = try disk(pattern, failingAt: 131_072)
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("read", "scratch", "--socket", broker.path) == .failed)
    #expect(surroundings.output == Array(pattern[..<131_072]))
    #expect(surroundings.complained.contains("131072 bytes were read"))
    #expect(surroundings.complained.contains("EIO"))
  }

  @Test func `a refused read exits 1 and names object, reason and errno`() throws {
    let broker = try FakeBroker(length: 8) { _, _ in .refused(.revoked) }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("read", "scratch", "--socket", broker.path) == .denied)
    #expect(surroundings.complained.hasPrefix("postern: read scratch: refused: revoked (EKEYREVOKED): "))
    #expect(surroundings.complained.contains("hint: "))
  }

  @Test func `an object without a length is read once`() throws {
    let broker = try FakeBroker(kind: .bus) { frame, _ in
      .read([UInt8](repeating: 9, count: min(3, Int(frame.operands.length))))
    }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("read", "modem", "--socket", broker.path) == .done)
    #expect(surroundings.output == [9, 9, 9])
  }

  @Test func `an object that the broker cannot open exits 74`() throws {
    let broker = try FakeBroker { _ in [.failed(Failure(errno: 2, text: "open /dev/none: No such file or directory"))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("read", "gone", "--socket", broker.path) == .failed)
    #expect(surroundings.complained.contains("open /dev/none"))
  }

  @Test func `a refused open carries the detail and the policy's message`() throws {
    let refusal = Refusal(.refused, detail: .tracer, message: "no debuggers \u{1B}]0;x\u{7}here")
    let broker = try FakeBroker { _ in [.refused(RefusedReply(refusal))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("read", "scratch", "--socket", broker.path) == .denied)
    #expect(surroundings.complained.contains("refused: refused (EKEYREJECTED, tracer): the process has a tracer"))
    #expect(surroundings.complained.contains("policy: no debuggers "))
    #expect(!surroundings.error.contains(0x1B))
    let program = RecordedSurroundings()
    #expect(program.run("read", "scratch", "--format", "json", "--socket", broker.path) == .denied)
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(program.error)) as? [String: Any])
    #expect(json["reason"] as? String == "refused")
    #expect(json["detail"] as? String == "tracer")
    #expect(json["errno"] as? String == "EKEYREJECTED")
    #expect(json["message"] as? String == refusal.message)
    #expect(json["exit"] as? Int == 1)
  }

  @Test(arguments: Reason.allCases) func `every reason says what it means and what to do`(reason: Reason) {
    let failure = CommandFailure.refused("read x", Refusal(reason))
    #expect(failure.status == .denied)
    #expect(failure.text.contains("\(reason.name) (\(reason.errnoSymbol))"))
    #expect(!failure.hint.isEmpty)
  }

  @Test func `a reader that goes away ends the command quietly`() throws {
    let broker = try disk(pattern)
    let surroundings = RecordedSurroundings()
    surroundings.readerTakes = 10
    #expect(surroundings.run("read", "scratch", "--socket", broker.path) == .failed)
    #expect(surroundings.complained == "")
  }
}

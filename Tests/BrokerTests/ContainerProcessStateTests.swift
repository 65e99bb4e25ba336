import Foundation
import TestSupport
import Testing

@testable import Broker

/// What crun 1.8.1 sends, byte for byte; its annotations are indented like all else.
let messageOfCrun = """
  {
      "ociVersion": "0.2.0",
      "fds": [
          "seccompFd"
      ],
      "pid": 17987,
      "metadata": "MD=1",
      "state": {
          "ociVersion": "0.2.0",
          "id": "t1",
          "status": "creating",
          "pid": 17987,
          "bundle": "/tmp/ag/b",
          "annotations": {
              "a.b": "c"
          }
      }
  }

  """

/// The form in which runc's encoder writes it: no white space, `fds` and `metadata` in other places are the same.
let messageOfRunc = """
  {"ociVersion":"1.2.1","fds":["seccompFd"],"pid":4422,"state":{"ociVersion":"1.2.1","id":"box","status":"creating",\
  "pid":4422,"bundle":"/run/box"}}
  """

@Suite("The container process state") struct ContainerProcessStateTests {
  typealias Mistake = ContainerProcessState.Mistake

  private func decode(_ text: String, attached: Int = 1) throws(Mistake) -> ContainerProcessState {
    try ContainerProcessState(decoding: Array(text.utf8), attached: attached)
  }

  private func refusal(_ text: String, attached: Int = 1) -> Mistake? {
    do throws(Mistake) {
      _ = try decode(text, attached: attached)
      return nil
    } catch { return error }
  }

  /// A message with these parts and nothing else.
  private func message(
    fds: String = #"["seccompFd"]"#, pid: String = "7", state: String = #"{"id":"x"}"#, more: String = ""
  ) -> String {
    #"{"ociVersion":"1.0.2","fds":\#(fds),"pid":\#(pid),"state":\#(state)\#(more)}"#
  }

  @Test func `crun's message is read`() throws {
    let state = try decode(messageOfCrun)
    #expect(state.ociVersion == "0.2.0")
    #expect(state.fds == ["seccompFd"])
    #expect(state.pid == 17987)
    #expect(state.metadata == "MD=1")
    #expect(state.containerID == "t1")
    #expect(state.bundle == "/tmp/ag/b")
    #expect(state.listenerIndex == 0)
  }

  @Test func `runc's message is read`() throws {
    let state = try decode(messageOfRunc)
    #expect(state.containerID == "box")
    #expect(state.metadata == nil)
  }

  @Test func `each byte of a small message is what it is said to be`() throws {
    let bytes: [UInt8] =
      [0x7b]  // {
      + [0x22, 0x6f, 0x63, 0x69, 0x56, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x22, 0x3a]  // "ociVersion":
      + [0x22, 0x31, 0x22, 0x2c]  // "1",
      + [0x22, 0x66, 0x64, 0x73, 0x22, 0x3a, 0x5b]  // "fds":[
      + [0x22, 0x61, 0x22, 0x2c]  // "a",
      + [0x22, 0x73, 0x65, 0x63, 0x63, 0x6f, 0x6d, 0x70, 0x46, 0x64, 0x22, 0x5d, 0x2c]  // "seccompFd"],
      + [0x22, 0x70, 0x69, 0x64, 0x22, 0x3a, 0x37, 0x2c]  // "pid":7,
      + [0x22, 0x73, 0x74, 0x61, 0x74, 0x65, 0x22, 0x3a, 0x7b]  // "state":{
      + [0x22, 0x69, 0x64, 0x22, 0x3a]  // "id":
      + [0x22, 0x5c, 0x75, 0x30, 0x30, 0x65, 0x39, 0xc3, 0xa9, 0x22]  // "\u00e9é"
      + [0x7d, 0x7d]  // }}
    let state = try ContainerProcessState(decoding: bytes, attached: 2)
    #expect(state.containerID == "éé")
    #expect(state.listenerIndex == 1)
  }

  @Test func `the place of seccompFd says which descriptor is the listener`() throws {
    let state = try decode(message(fds: #"["a","b","seccompFd","c"]"#), attached: 4)
    #expect(state.listenerIndex == 2)
  }

  @Test func `a message that names the listener not exactly once is refused`() {
    #expect(refusal(message(fds: "[]"), attached: 0) == .listeners(0))
    #expect(refusal(message(fds: #"["seccompfd"]"#)) == .listeners(0))
    #expect(refusal(message(fds: #"["seccompFd","seccompFd"]"#), attached: 2) == .listeners(2))
    #expect(refusal(#"{"ociVersion":"1","pid":7,"state":{"id":"x"}}"#) == .listeners(0))
  }

  @Test(arguments: [0, 2, 253]) func `another number of descriptors than is named is refused`(attached: Int) {
    #expect(refusal(message(), attached: attached) == .descriptors(named: 1, attached: attached))
  }

  @Test func `what the specification requires has to be there`() {
    #expect(refusal("{}") == .missing("ociVersion"))
    #expect(refusal(#"{"ociVersion":"1"}"#) == .missing("pid"))
    #expect(refusal(#"{"ociVersion":"1","pid":7}"#) == .missing("state"))
    #expect(refusal(message(state: "{}")) == .missing("state.id"))
  }

  @Test(arguments: [0, -1, 2_147_483_648, -9_223_372_036_854_775_808] as [Int64])
  func `what is no process id is refused`(pid: Int64) {
    #expect(refusal(message(pid: "\(pid)")) == .pid(pid))
  }

  @Test(arguments: ["7.0", "7e0", "\"7\"", "true", "9223372036854775808", "null"])
  func `what is no integer is no process id`(pid: String) {
    #expect(refusal(message(pid: pid)) == .json(.otherKind(expected: "an integer")))
  }

  @Test func `a key that is given twice is refused, however it is written`() {
    #expect(refusal(message(more: #","pid":8"#)) == .json(.repeatedKey("pid")))
    #expect(refusal(message(more: #","f\u0064s":["x"]"#)) == .json(.repeatedKey("fds")))
    #expect(refusal(message(state: #"{"id":"x","id":"y"}"#)) == .json(.repeatedKey("id")))
  }

  @Test func `unknown keys are passed over, and have to be JSON all the same`() throws {
    let known = try decode(message(more: #","x":[1,-0.5e+9,{"y":[true,false,null,"\ud83d\ude00"]}]"#))
    #expect(known.pid == 7)
    for wrong in ["01", "+1", "1.", "1e", ".5", "nul", "tru e", "'a'", #""\x""#, "[1,]", #"{"a"}"#, "\"\u{1}\"", "NaN"]
    {
      let given = refusal(message(more: #","x":\#(wrong)"#))
      #expect(given != nil, "\(wrong)")
    }
  }

  @Test func `every beginning of a message is refused`() {
    let bytes = Array(messageOfCrun.utf8)
    let end = messageOfCrun.utf8.count - 1  // A newline follows the object.
    for length in 0..<end {
      let given = try? ContainerProcessState(decoding: Array(bytes[..<length]), attached: 1)
      #expect(given == nil, "\(length) bytes")
    }
  }

  @Test func `what follows the object is refused`() {
    #expect(refusal(message() + "x") == .json(.trailingBytes))
    #expect(refusal(message() + message()) == .json(.trailingBytes))
    #expect(refusal(message() + "\0") == .json(.trailingBytes))
    #expect(refusal(" \t\r\n" + message() + " \t\r\n") == nil)
  }

  @Test func `text that is not UTF-8 is refused`() {
    for wrong: [UInt8] in [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]] {
      let bytes = Array(#"{"ociVersion":""#.utf8) + wrong + Array(#""}"#.utf8)
      let given = #expect(throws: Mistake.self) { try ContainerProcessState(decoding: bytes, attached: 1) }
      #expect(given == .json(.notUTF8))
    }
    for half in [#"\ud800"#, #"\ud800\u0041"#, #"\udc00"#] {
      #expect(refusal(message(state: #"{"id":"\#(half)"}"#)) == .json(.notUTF8))
    }
  }

  @Test func `nesting has a bound, and is no recursion without one`() {
    func nested(_ depth: Int) -> String {
      message(more: #","x":"# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
    }
    #expect(refusal(nested(JSONReader.deepest - 1)) == nil)
    #expect(refusal(nested(JSONReader.deepest)) == .json(.tooDeep))
    #expect(refusal(nested(200_000)) == .json(.tooDeep))
  }

  @Test func `size has a bound`() {
    func padded(_ size: Int) -> String { message() + String(repeating: " ", count: size - message().utf8.count) }
    #expect(refusal(padded(ContainerProcessState.maximumSize)) == nil)
    #expect(refusal(padded(ContainerProcessState.maximumSize + 1)) == .tooLong)
  }

  @Test func `more names than a message can carry descriptors are refused`() {
    let names = Array(repeating: #""a""#, count: 100_000).joined(separator: ",")
    let given = refusal(message(fds: "[\(names)]"))
    #expect(given != nil)
  }

  @Test func `random bytes and random changes are read or refused, and name a descriptor that is there`() {
    let seed =
      ProcessInfo.processInfo.environment["POSTERN_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
    var generator = SplitMix(state: seed)
    for _ in 0..<20_000 {
      var bytes = Array(messageOfCrun.utf8)
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let at = Int.random(in: 0..<bytes.count, using: &generator)
        if Bool.random(using: &generator) {
          bytes[at] = UInt8.random(in: 0...255, using: &generator)
        } else {
          bytes.remove(at: at)
        }
      }
      guard let state = try? ContainerProcessState(decoding: bytes, attached: 1) else { continue }
      let isListener = state.listenerIndex == 0 && state.fds == ["seccompFd"]
      #expect(isListener, "seed \(seed): \(bytes)")
    }
  }
}

@Suite("Where a message in pieces ends") struct JSONExtentTests {
  @Test func `it is found in every way that two cuts divide it`() {
    let bytes = Array(messageOfRunc.utf8)
    for first in 0...bytes.count {
      for second in stride(from: first, through: bytes.count, by: 7) {
        var extent = JSONExtent()
        var states = [extent.take(bytes[..<first]), extent.take(bytes[first..<second])]
        states.append(extent.take(bytes[second...]))
        #expect(states[2] == .complete)
        #expect(states[0] == (first == bytes.count ? .complete : .incomplete))
      }
    }
  }

  @Test func `brackets and quotes in strings do not count`() {
    var extent = JSONExtent()
    let text = #"{"a\"}]{[":"\\","b":[{}]"#
    #expect(extent.take(text.utf8) == .incomplete)
    #expect(extent.take("}".utf8) == .complete)
    #expect(extent.take("}}}x".utf8) == .complete)
  }

  @Test(arguments: ["x", "[", "\"", "1", "}", "\0", "\u{feff}{"]) func `what does not begin an object is seen at once`(
    text: String
  ) {
    var extent = JSONExtent()
    #expect(extent.take(text.utf8) == .notAnObject)
  }
}

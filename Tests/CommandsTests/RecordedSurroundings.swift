import Foundation
import Instructions
import Linux
import Testing

@testable import PosternCommands

/// Streams that keep what was printed, an input and an environment that a test chooses.
final class RecordedSurroundings: Surroundings {
  private(set) var output: [UInt8] = []
  private(set) var error: [UInt8] = []
  private var input: ArraySlice<UInt8>
  private let inputIsFile: Bool
  var terminal = false
  var variables: [String: String] = [:]
  /// What the reader of the output takes before it goes away.
  var readerTakes = Int.max
  var now: UInt64 = 1_700_000_000_000_000_000
  /// What the process would have had supervised, and by whom, before it would have become `launch`.
  private(set) var supervised: (calls: NotifiedCalls, socket: String)?
  private(set) var launch: Launch?
  /// What a program that is learnt from does.
  var observed = Observed()
  /// A descriptor that whoever started the process left open.
  var kept: Int32?

  init(input: [UInt8] = [], inputIsFile: Bool = false) {
    self.input = input[...]
    self.inputIsFile = inputIsFile
  }

  func write(_ bytes: [UInt8], to stream: StandardStream) throws(SystemError) {
    switch stream {
    case .error: error += bytes
    default:
      guard output.count + bytes.count <= readerTakes else {
        throw SystemError(errno: ErrorCode.brokenPipe, operation: "write")
      }
      output += bytes
    }
  }

  func read(into bytes: inout [UInt8], limit: Int) throws(SystemError) -> Int {
    let part = input.prefix(min(limit, 100_000))
    bytes += part
    input.removeFirst(part.count)
    return part.count
  }

  var inputSize: UInt64? { inputIsFile ? UInt64(input.count) : nil }
  func isTerminal(_ stream: StandardStream) -> Bool { terminal }
  func variable(_ name: String) -> String? { variables[name] }

  func supervise(_ calls: NotifiedCalls, socket: String) throws(CommandFailure) { supervised = (calls, socket) }
  func become(_ launch: Launch) throws(CommandFailure) { self.launch = launch }

  func observe(_ launch: Launch) throws(CommandFailure) -> Observed {
    self.launch = launch
    return observed
  }

  func firstKept(from first: Int32, count: Int) -> Int32? {
    kept.flatMap { (first..<(first + Int32(count))).contains($0) ? $0 : nil }
  }

  var printed: String { String(decoding: output, as: UTF8.self) }
  var complained: String { String(decoding: error, as: UTF8.self) }

  /// The output as one JSON value.
  func json() throws -> Any { try JSONSerialization.jsonObject(with: Data(output), options: [.fragmentsAllowed]) }
}

extension RecordedSurroundings {
  @discardableResult
  func run(_ arguments: String...) -> CommandStatus { Invocation.run(arguments, in: self) }
}

import Instructions
import Linux

/// What a command has around it besides its arguments: three streams, an environment, a clock, and the process it runs in.
///
/// A protocol so that the tests run whole commands and read what they printed.
protocol Surroundings: AnyObject {
  func write(_ bytes: [UInt8], to stream: StandardStream) throws(SystemError)
  /// Appends at most `limit` bytes of the input; 0: the end.
  func read(into bytes: inout [UInt8], limit: Int) throws(SystemError) -> Int
  /// Bytes that the input still has, where that can be known without reading it.
  var inputSize: UInt64? { get }
  func isTerminal(_ stream: StandardStream) -> Bool
  func variable(_ name: String) -> String?
  /// Unix time, nanoseconds.
  var now: UInt64 { get }
  /// Has every system call of these families that this process makes from now on answered by the broker at `socket`.
  func supervise(_ calls: NotifiedCalls, socket: String) throws(CommandFailure)
  /// Becomes another program. Only a test's returns.
  func become(_ launch: Launch) throws(CommandFailure)
  /// Runs another program as a child, with nothing granted, and says what it was refused.
  func observe(_ launch: Launch) throws(CommandFailure) -> Observed
  /// The first of `count` descriptors from `first` on that would be open in that program; nil: none would.
  func firstKept(from first: Int32, count: Int) -> Int32?
}

/// The process's own.
final class ProcessSurroundings: Surroundings {
  func write(_ bytes: [UInt8], to stream: StandardStream) throws(SystemError) { try stream.write(bytes) }

  func read(into bytes: inout [UInt8], limit: Int) throws(SystemError) -> Int {
    try StandardStream.input.read(into: &bytes, limit: limit)
  }

  var inputSize: UInt64? { StandardStream.input.remainingFileSize }
  func isTerminal(_ stream: StandardStream) -> Bool { stream.isTerminal }
  func variable(_ name: String) -> String? { Environment[name] }
  var now: UInt64 { Clock.wall() }
  func firstKept(from first: Int32, count: Int) -> Int32? { OwnProcess.firstKept(from: first, count: count) }
}

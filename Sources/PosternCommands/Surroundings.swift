import Linux

/// What a command has around it besides its arguments: three streams, an environment, a clock.
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
}

import Foundation

/// A program run to its end.
public enum Command {
  public struct Result {
    public var status: Int32
    public var output: String
    public var errors: String
  }

  public static func run(_ line: [String]) throws -> Result {
    let process = Process()
    let output = ChildProcess.pipe()
    let errors = ChildProcess.pipe()
    process.executableURL = URL(fileURLWithPath: line[0])
    process.arguments = Array(line.dropFirst())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    try ChildProcess.start(process)
    let said = output.fileHandleForReading.readDataToEndOfFile()
    let complained = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: String(decoding: said, as: UTF8.self),
      errors: String(decoding: complained, as: UTF8.self))
  }

  /// What it printed, if it ended well.
  @discardableResult
  public static func demand(_ line: [String]) throws -> String {
    let result = try run(line)
    guard result.status == 0 else {
      throw HarnessFailure(description: "\(line.joined(separator: " ")): \(result.status): \(result.errors)")
    }
    return result.output
  }
}

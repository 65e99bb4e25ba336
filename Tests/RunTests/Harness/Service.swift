import Foundation
import Glibc
import TestSupport

/// A program that runs beside a test, with what it prints in a file.
final class Service {
  let pid: Int32
  private let process = Process()
  private let outputPath: String

  /// What it and its children have printed.
  var output: String { (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? "" }

  init(_ line: [String], output path: String) throws {
    outputPath = path
    guard FileManager.default.createFile(atPath: path, contents: nil) else {
      throw HarnessFailure(description: "\(path) cannot be made")
    }
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    process.executableURL = URL(fileURLWithPath: try Programs.path("launch"))
    process.arguments = line
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = file
    process.standardError = file
    try ChildProcess.start(process)
    pid = process.processIdentifier
  }

  /// Not asked of `Process`, which waits for children too.
  var isRunning: Bool {
    let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    return status.map { !$0.contains("Z (zombie)") } ?? false
  }

  /// Ends it, not its children.
  func end(_ number: Int32 = SIGTERM) {
    kill(pid, number)
    _ = eventually { !isRunning }
  }
}

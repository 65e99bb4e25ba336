import Foundation
import TestSupport
import Glibc
import Testing

/// What a test needs of the machine. Where it is missing the test is skipped and says so; with
/// POSTERN_REQUIRE_ALL_TIERS set it runs, and fails.
enum Tier {
  static let isRequired = ProcessInfo.processInfo.environment["POSTERN_REQUIRE_ALL_TIERS"] != nil
  static let root = isRequired || geteuid() == 0
  static let networkNamespaces = isRequired || (geteuid() == 0 && tool("ip") != nil)
  static let loopDevices = isRequired || (geteuid() == 0 && tool("losetup") != nil && exists("/dev/loop-control"))

  static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  static func tool(_ name: String) -> String? {
    ["/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"].map { $0 + name }.first(where: exists)
  }
}

struct ToolFailure: Error, CustomStringConvertible {
  var description: String
}

/// Runs a tool of the machine to its end and gives what it printed, without the last newline.
@discardableResult
func run(_ tool: String, _ arguments: String...) throws -> String {
  guard let path = Tier.tool(tool) else { throw ToolFailure(description: "\(tool) is not installed") }
  let process = Process()
  let output = ChildProcess.pipe()
  process.executableURL = URL(fileURLWithPath: path)
  process.arguments = arguments
  process.standardOutput = output
  process.standardError = output
  try ChildProcess.start(process)
  let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw ToolFailure(description: "\(tool) \(arguments.joined(separator: " ")): \(text)")
  }
  return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

/// A seed that a failure prints, and that POSTERN_TEST_SEED repeats.
func testSeed() -> UInt64 {
  ProcessInfo.processInfo.environment["POSTERN_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
}

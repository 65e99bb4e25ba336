import Foundation
import TestSupport
import Glibc

/// The `postern` that was built beside the tests, as a process of its own.
enum RealCommand {
  struct Ended {
    var status: Int32
    var output: String
    var errors: String
  }

  /// The build folder, which the test executable lies in.
  private static let folder =
    ((try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "")
    .split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")

  static let path = folder + "/postern"

  /// A started one, for tests that do something meanwhile.
  static func start(_ line: [String], input: FileHandle = .nullDevice) throws -> (
    process: Process, output: Pipe, errors: Pipe
  ) {
    let process = Process()
    let output = ChildProcess.pipe()
    let errors = ChildProcess.pipe()
    process.executableURL = URL(fileURLWithPath: line[0])
    process.arguments = Array(line.dropFirst())
    process.standardInput = input
    process.standardOutput = output
    process.standardError = errors
    // The threads that tests run on block every signal, and children inherit that.
    var none = sigset_t()
    var old = sigset_t()
    // SAFETY: both sets are ours.
    unsafe sigemptyset(&none)
    unsafe pthread_sigmask(SIG_SETMASK, &none, &old)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &old, nil) }
    try ChildProcess.start(process)
    return (process, output, errors)
  }

  /// Runs a command line to its end; `-1` as its status: a signal ended it.
  static func run(_ line: [String]) throws -> Ended {
    let (process, output, errors) = try start(line)
    let said = output.fileHandleForReading.readDataToEndOfFile()
    let complained = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Ended(
      status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
      output: String(decoding: said, as: UTF8.self), errors: String(decoding: complained, as: UTF8.self))
  }

  static func setMode(_ mode: Int, of path: String) throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
  }

  /// The processes whose command line is `postern keep` for the socket at `path`.
  static func keepers(of path: String) -> [pid_t] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return all.compactMap(pid_t.init).filter { pid in
      guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
      return String(decoding: line, as: UTF8.self).hasPrefix("postern\0keep\0--socket\0\(path)\0")
    }
  }

  /// Waits until `condition` holds, at most so many seconds.
  static func wait(_ seconds: Double = 10, until condition: () throws -> Bool) rethrows -> Bool {
    let end = Date().addingTimeInterval(seconds)
    while Date() < end {
      if try condition() { return true }
      usleep(10_000)
    }
    return try condition()
  }
}

import Foundation
import Glibc

/// The C programs of the tests, built once for each run, and the products next to the test bundle.
enum Programs {
  /// The folder with everything that tests run, readable by every user.
  private static let folder: Result<String, HarnessFailure> = {
    let path = FileManager.default.temporaryDirectory.path + "/postern-programs-\(getpid())"
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
      atexit { try? FileManager.default.removeItem(atPath: Programs.folderName) }
      for product in ["posternd", "postern", "libLibPostern.so"] {
        try FileManager.default.copyItem(atPath: products + "/" + product, toPath: path + "/" + product)
      }
      for source in try FileManager.default.contentsOfDirectory(atPath: sources) where source.hasSuffix(".c") {
        try compile(source, into: path)
      }
      // The same program under another inode: for selectors another one.
      try FileManager.default.copyItem(atPath: path + "/actor", toPath: path + "/stranger")
      return .success(path)
    } catch {
      return .failure(HarnessFailure(description: "the test programs cannot be built: \(error)"))
    }
  }()

  private static var folderName: String {
    FileManager.default.temporaryDirectory.path + "/postern-programs-\(getpid())"
  }

  static func path(_ name: String) throws -> String { try folder.get() + "/" + name }

  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path
  private static let sources = root + "/Tests/Programs/LifeCycle"

  /// The build folder, which the test executable lies in.
  static let products =
    ((try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "")
    .split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")

  private static func compile(_ source: String, into folder: String) throws {
    let output = folder + "/" + source.dropLast(2)
    let library =
      source.hasPrefix("library")
      ? ["-I", root + "/Sources/CPostern/include", "-L", folder, "-lLibPostern", "-Wl,-rpath,$ORIGIN"] : []
    let result = try Command.run(
      ["/usr/bin/gcc", "-std=gnu11", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror", "-o", output]
        + [sources + "/" + source] + library)
    guard result.status == 0 else { throw HarnessFailure(description: result.errors) }
  }
}

/// A program run to its end.
enum Command {
  struct Result {
    var status: Int32
    var output: String
    var errors: String
  }

  static func run(_ line: [String]) throws -> Result {
    let process = Process()
    let output = Pipe()
    let errors = Pipe()
    process.executableURL = URL(fileURLWithPath: line[0])
    process.arguments = Array(line.dropFirst())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let said = output.fileHandleForReading.readDataToEndOfFile()
    let complained = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: String(decoding: said, as: UTF8.self),
      errors: String(decoding: complained, as: UTF8.self))
  }
}

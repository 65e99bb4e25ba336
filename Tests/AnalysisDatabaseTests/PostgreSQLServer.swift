import Foundation
import TestSupport

/// A PostgreSQL server of the tests' own: an ordinary user's, in a folder of its own, on a unix socket there and nowhere
/// else. It ends with the test process, however that ends, because its shell then reads the end of its input.
final class PostgreSQLServer: Sendable {
  static let shared = Result { try PostgreSQLServer() }

  private let folder: String
  private let end: FileHandle

  private static let script =
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
    + "/Programs/postgresql-server"

  private init() throws {
    let shell = Process()
    shell.executableURL = URL(filePath: "/bin/bash")
    shell.arguments = [PostgreSQLServer.script, "-c", "fsync=off"]
    let (input, output) = (ChildProcess.pipe(), ChildProcess.pipe())
    shell.standardInput = input
    shell.standardOutput = output
    try ChildProcess.start(shell)
    var line: [UInt8] = []
    while let byte = try output.fileHandleForReading.read(upToCount: 1)?.first, byte != UInt8(ascii: "\n") {
      line.append(byte)
    }
    folder = String(decoding: line, as: UTF8.self)
    guard !folder.isEmpty else { throw ServerFailure() }
    // Kept open for the life of this process.
    end = input.fileHandleForWriting
  }

  func address(_ database: String) -> String {
    let host = folder.replacingOccurrences(of: "/", with: "%2F")
    return "postgresql://postern@\(host):54329/\(database)"
  }

  struct ServerFailure: Error {}
}

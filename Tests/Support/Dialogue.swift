import Foundation
import Glibc

/// A running program that does what it is told one line at a time, and answers with one.
public final class Dialogue {
  public let pid: Int32
  private let process = Process()
  private let input = ChildProcess.pipe()
  private let output = ChildProcess.pipe()
  private var pending = Data()

  /// - Parameter line: the program, which should print nothing unasked.
  public init(_ line: [String]) throws {
    _ = Dialogue.ignoresBrokenPipes
    process.executableURL = URL(fileURLWithPath: try Programs.path("launch"))
    process.arguments = line
    process.standardInput = input
    process.standardOutput = output
    try ChildProcess.start(process)
    pid = process.processIdentifier
  }

  /// Telling a program something that has ended must not end the tests.
  private static let ignoresBrokenPipes: Void = { signal(SIGPIPE, SIG_IGN) }()

  /// Says one line and gives the answer; "ended" where the program and all its children have. `$actor` and `$stranger`
  /// in it stand for the paths of these programs.
  public func callAsFunction(_ line: String) throws -> String {
    try tell(try Dialogue.expand(line))
    return heard()
  }

  private static func expand(_ line: String) throws -> String {
    guard line.contains("$") else { return line }
    let actor = try Programs.path("actor")
    return line.replacing("$actor", with: actor).replacing("$stranger", with: try Programs.path("stranger"))
  }

  public func tell(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

  /// The next line that the program or one of its children prints. They end by themselves after a while (alarm(2)), so
  /// this does too.
  public func heard() -> String {
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: pending[..<end], as: UTF8.self)
        pending = Data(pending[(end + 1)...])
        return line
      }
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { return "ended" }
      pending.append(more)
    }
  }

  /// The next line, or nil where none comes in time.
  public func heard(within seconds: Double) -> String? {
    var entry = pollfd(fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
    // SAFETY: one entry is passed and counted.
    let ready = unsafe poll(&entry, 1, Int32(seconds * 1000))
    return !pending.isEmpty || ready == 1 ? heard() : nil
  }

  /// Ends it; its children end with the pipes that it told them through.
  public func end() {
    try? input.fileHandleForWriting.close()
    if process.isRunning { kill(pid, SIGKILL) }
    process.waitUntilExit()
  }

  /// Waits until it has ended by itself. `Process` would wait for its children too, which inherit what it watches.
  public func waitForEnd() {
    _ = eventually {
      let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
      return status?.contains("Z (zombie)") ?? true
    }
  }
}

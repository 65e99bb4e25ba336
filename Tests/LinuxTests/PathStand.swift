import Foundation
import TestSupport
import Glibc
import Linux
import Testing

struct StandFailure: Error, CustomStringConvertible {
  var description: String
}

/// A running `stand` program (Tests/Programs/Paths/stand.c), which does what it is told one line at a time.
final class PathStand {
  let pid: Int32
  private let process = Process()
  private let input = ChildProcess.pipe()
  private let output = ChildProcess.pipe()
  private var pending = Data()

  /// - Parameter prefix: a command line that runs it; then it is the only child.
  init(_ prefix: [String] = []) throws {
    let line = prefix + [try PathStand.program.get()]
    process.executableURL = URL(fileURLWithPath: line[0])
    process.arguments = Array(line.dropFirst())
    process.standardInput = input
    process.standardOutput = output
    try ChildProcess.start(process)
    let first = process.processIdentifier
    guard prefix.isEmpty else {
      // It answers, so it is there.
      try input.fileHandleForWriting.write(contentsOf: Data("pid\n".utf8))
      pid = 0
      _ = heard()
      let children = try String(contentsOfFile: "/proc/\(first)/task/\(first)/children", encoding: .utf8)
      guard let child = Int32(children.split(separator: " ").first ?? "") else {
        throw StandFailure(description: "no child of \(prefix[0])")
      }
      inner = child
      return
    }
    pid = first
  }

  private var inner: Int32?
  /// Its number here.
  var number: Int32 { inner ?? pid }

  /// Says one line and gives the answer.
  @discardableResult
  func callAsFunction(_ words: String...) throws -> String {
    try input.fileHandleForWriting.write(contentsOf: Data((words.joined(separator: " ") + "\n").utf8))
    return heard()
  }

  /// As above, for what has to succeed.
  func has(_ words: String...) throws {
    try input.fileHandleForWriting.write(contentsOf: Data((words.joined(separator: " ") + "\n").utf8))
    let said = heard()
    guard said == "ok" else { throw StandFailure(description: "\(words): \(said)") }
  }

  private func heard() -> String {
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

  func end() {
    try? input.fileHandleForWriting.close()
    if process.isRunning {
      kill(number, SIGKILL)
      kill(process.processIdentifier, SIGKILL)
    }
    process.waitUntilExit()
  }

  func surroundings(thread: Int32? = nil, directory: Int32 = PathSurroundings.currentDirectory) throws
    -> PathSurroundings
  {
    try PathSurroundings(tgid: number, tid: thread ?? number, directory: directory)
  }

  /// What `resolve` comes to, in the words of the program.
  func resolved(
    _ path: String, follow: Bool = true, rules: ResolveRules = [], thread: Int32? = nil,
    directory: Int32 = PathSurroundings.currentDirectory
  ) throws -> String {
    let surroundings = try surroundings(thread: thread, directory: directory)
    do throws(SystemError) {
      let status = try surroundings.resolve(Array(path.utf8), follow: follow, rules: rules).status()
      return "file \(status.device) \(status.inode)"
    } catch {
      return "error \(error.errno)"
    }
  }

  /// What its own open comes to.
  func opened(_ path: String, flags: Int32 = O_RDONLY | O_NONBLOCK, rules: ResolveRules = [], directory: Int32 = -100)
    throws -> String
  {
    // RESOLVE_IN_ROOT and RESOLVE_BENEATH say EAGAIN for `..` while anybody on the machine renames; ask again.
    for _ in 0..<10_000 {
      let said = try self("open", "\(directory)", path, "\(flags)", "\(rules.rawValue)")
      if said != "error \(EAGAIN)" { return said }
    }
    return "error \(EAGAIN)"
  }

  private static let program: Result<String, StandFailure> = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let path = FileManager.default.temporaryDirectory.path + "/postern-stand-\(getpid())"
    atexit { _ = unsafe unlink(FileManager.default.temporaryDirectory.path + "/postern-stand-\(getpid())") }
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: "/usr/bin/gcc")
    compiler.arguments = [
      "-std=gnu11", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror", "-o", path,
      root.path + "/Programs/Paths/stand.c",
    ]
    do { try ChildProcess.start(compiler) } catch { return .failure(StandFailure(description: "\(error)")) }
    compiler.waitUntilExit()
    return compiler.terminationStatus == 0 ? .success(path) : .failure(StandFailure(description: "gcc failed"))
  }()
}

/// A tree of files of a test's own; everybody may search it.
final class PathTree {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.path + "/postern-paths-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func callAsFunction(_ name: String) -> String { path + "/" + name }

  @discardableResult
  func folder(_ name: String, mode: Int = 0o755) throws -> String {
    try FileManager.default.createDirectory(
      atPath: self(name), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    // Not through the umask.
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: self(name))
    return self(name)
  }

  /// A file; as the program would report it.
  @discardableResult
  func file(_ name: String) throws -> String {
    try Data(name.utf8).write(to: URL(fileURLWithPath: self(name)))
    return try identity(name)
  }

  func link(_ name: String, to target: String) throws {
    guard unsafe symlink(target, self(name)) == 0 else { throw StandFailure(description: "symlink \(name): \(errno)") }
  }

  func identity(_ name: String) throws -> String { try PathTree.identity(self(name)) }

  static func identity(_ path: String) throws -> String {
    let status = try Descriptor.pin(path).status()
    return "file \(status.device) \(status.inode)"
  }
}

enum PathTier {
  /// POSTERN_REQUIRE_ALL_TIERS: not skipped.
  static let root = ProcessInfo.processInfo.environment["POSTERN_REQUIRE_ALL_TIERS"] != nil || geteuid() == 0
  static let isSoak = ProcessInfo.processInfo.environment["POSTERN_SOAK"] != nil
  static let seed =
    ProcessInfo.processInfo.environment["POSTERN_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
}

/// SplitMix64, so that a failure can be had again.
struct PathRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
}

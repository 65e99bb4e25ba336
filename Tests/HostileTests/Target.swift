import Foundation
import TestSupport
import Glibc
import Instructions
import Testing
import Wire

struct HarnessFailure: Error, CustomStringConvertible {
  var description: String
}

/// A broker of its own in a scratch folder, to be attacked, with the programs that do it.
///
/// `run` also has a well-behaved client at work before and after `body`, and sees to it that the broker has then given
/// back every descriptor and serves on.
final class Target {
  let folder: String
  private var broker = Process()
  private var clients: [Hostile] = []
  private var prefix: [String] = []
  var state: String

  var socket: String { folder + "/socket" }
  var policyPath: String { folder + "/policy.yaml" }
  var image: String { folder + "/image" }
  var pid: Int32 { broker.processIdentifier }

  static let policy = """
    version: 1
    objects:
      registers: { kind: bus, bus: simulated, device: registers }
      scratch: { kind: disk, path: $IMAGE, access: read-write }
      door: { kind: socket, listen: "unix://$FOLDER/door" }
    applications:
      crowd: { user: $USER, processes: 4096 }
    grants:
      - { application: crowd, object: registers, operations: [transfer] }
      - { application: crowd, object: scratch, operations: [read, write, flush] }
      - { application: crowd, object: door, operations: [bind, listen, accept] }
    limits: { connections-per-user: 64, requests-per-user: 256, objects-per-user: 64 }

    """

  /// - Parameters:
  ///   - launcher: what stands before the broker's command line (prlimit).
  static func run(
    _ policy: String = Target.policy, launcher: [String] = [], _ body: (Target) throws -> Void
  ) throws {
    let target = try Target(policy)
    defer { target.remove() }
    target.prefix = launcher
    try target.start()
    try target.expectWellServed()
    let before = target.settled()
    try body(target)
    for client in target.clients { client.end() }
    target.clients = []
    try target.expectWellServed()
    let after = target.settled(below: before.descriptors)
    #expect(after.descriptors <= before.descriptors, "the broker kept descriptors")
    #expect(after.memory <= before.memory + 48 << 10, "the broker kept memory: \(before.memory) KiB before")
    target.stop()
  }

  private init(_ policy: String) throws {
    folder = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
    state = folder + "/state"
    try write("image", String(repeating: "A", count: 1 << 20))
    try write("policy.yaml", policy)
  }

  func write(_ name: String, _ text: String) throws {
    let text = text.replacing("$IMAGE", with: image).replacing("$FOLDER", with: folder)
      .replacing("$USER", with: Hostile.userName)
    try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
  }

  func start() throws {
    broker = Process()
    let line =
      prefix + [
        try Programs.path("posternd"), "--policy", policyPath, "--socket", socket, "--state-dir", state,
      ]
    _ = FileManager.default.createFile(atPath: folder + "/errors", contents: nil)
    broker.executableURL = URL(fileURLWithPath: line[0])
    broker.arguments = Array(line.dropFirst())
    broker.standardInput = FileHandle.nullDevice
    broker.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/errors"))
    try ChildProcess.start(broker)
    guard Target.eventually({ errors.contains("posternd: ready") || !broker.isRunning }), broker.isRunning else {
      throw HarnessFailure(description: "the broker does not start: \(errors)")
    }
  }

  /// A second broker on the same paths, run until it gives up.
  func rival(socket: String? = nil, state: String? = nil) throws -> (status: Int32, errors: String) {
    try Programs.run([
      try Programs.path("posternd"), "--policy", policyPath, "--socket", socket ?? self.socket, "--state-dir",
      state ?? self.state,
    ])
  }

  func postern(_ arguments: String...) throws -> (status: Int32, output: String) {
    let result = try Programs.run([try Programs.path("postern"), "--socket", socket] + arguments)
    return (result.status, result.errors)
  }

  /// What the broker has written on its standard error.
  var errors: String { (try? String(contentsOfFile: folder + "/errors", encoding: .utf8)) ?? "" }
  var isRunning: Bool { broker.isRunning }

  func signal(_ number: Int32) { kill(pid, number) }

  func hostile() throws -> Hostile {
    let client = try Hostile(socket: socket)
    clients.append(client)
    return client
  }

  /// Lets the broker be killed without a word.
  func killBroker() {
    kill(pid, SIGKILL)
    broker.waitUntilExit()
  }

  func stop() {
    guard broker.isRunning else {
      Issue.record("the broker ended: \(errors)")
      return
    }
    broker.terminate()
    broker.waitUntilExit()
    #expect(broker.terminationStatus == 0, "\(errors)")
  }

  private func remove() {
    for client in clients { client.end() }
    if broker.isRunning {
      kill(pid, SIGKILL)
      broker.waitUntilExit()
    }
    try? FileManager.default.removeItem(atPath: folder)
  }

  struct Usage {
    var descriptors: Int
    /// KiB
    var memory: Int
  }

  var usage: Usage {
    let count = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
    let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
    return Usage(descriptors: count, memory: Int(line.filter(\.isNumber)) ?? 0)
  }

  /// What the broker uses once what has ended is forgotten.
  func settled(below bound: Int? = nil) -> Usage {
    if let bound {
      _ = Target.eventually { usage.descriptors <= bound }
    } else {
      usleep(200_000)
    }
    return usage
  }

  /// Somebody else comes, asks, opens, and is answered within the time that a person waits.
  func expectWellServed(within seconds: Double = 5, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let start = Date()
    let client = try Hostile(socket: socket)
    defer { client.end() }
    let connection = try client.connection()
    let opened = try client.open("registers", on: connection)
    let reply = try client.transfer(on: opened.socket)
    #expect(reply.result == 1, "a well-behaved client is not served", sourceLocation: sourceLocation)
    #expect(
      Date().timeIntervalSince(start) < seconds, "a well-behaved client waits", sourceLocation: sourceLocation)
  }

  /// Waits until `condition` holds, ten seconds at most.
  static func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Date(timeIntervalSinceNow: 10)
    while Date() < deadline {
      if try condition() { return true }
      usleep(5000)
    }
    return false
  }
}

/// The attacker program, built once for each run, and the products next to the test bundle, all readable by every user.
enum Programs {
  private static var folderName: String {
    FileManager.default.temporaryDirectory.path + "/postern-hostile-\(getpid())"
  }

  private static let folder: Result<String, HarnessFailure> = {
    let path = folderName
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
      atexit { try? FileManager.default.removeItem(atPath: Programs.folderName) }
      let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Programs/hostile.c").path
      let built = try run([
        "/usr/bin/gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-o", path + "/hostile", source,
      ])
      guard built.status == 0 else { throw HarnessFailure(description: built.errors) }
      for product in ["posternd", "postern"] {
        // A folder with other builds, to see that a test fails without a fix.
        let other = ProcessInfo.processInfo.environment["POSTERN_TEST_PRODUCTS"]
        let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let products = other ?? URL(fileURLWithPath: executable).deletingLastPathComponent().path
        try FileManager.default.copyItem(atPath: products + "/" + product, toPath: path + "/" + product)
      }
      return .success(path)
    } catch {
      return .failure(HarnessFailure(description: "the test programs cannot be built: \(error)"))
    }
  }()

  static func path(_ name: String) throws -> String { try folder.get() + "/" + name }

  /// Runs a program to its end; `errors` is what it printed on either stream.
  static func run(_ line: [String]) throws -> (status: Int32, errors: String) {
    let process = Process()
    let output = ChildProcess.pipe()
    process.executableURL = URL(fileURLWithPath: line[0])
    process.arguments = Array(line.dropFirst())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try ChildProcess.start(process)
    let said = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: said, as: UTF8.self))
  }
}

/// What a test needs of the machine. Where it is missing the test is skipped and says so; with
/// POSTERN_REQUIRE_ALL_TIERS set it runs, and fails.
enum Tier {
  static let isRequired = ProcessInfo.processInfo.environment["POSTERN_REQUIRE_ALL_TIERS"] != nil
  /// Limits of users hold for everybody but root.
  static let root = isRequired || geteuid() == 0
}

/// A seed that a failure prints, and that POSTERN_TEST_SEED repeats.
func testSeed() -> UInt64 {
  ProcessInfo.processInfo.environment["POSTERN_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
}

/// A seeded generator (SplitMix64), so that a failure can be had again.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

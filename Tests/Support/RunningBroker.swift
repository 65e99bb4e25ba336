import Foundation
import Glibc

/// A broker of a test's own, with its policy, socket and state in a scratch folder.
public final class RunningBroker {
  public let folder: String
  public let user: Account
  /// What it is started with beside its paths.
  public var options: [String] = []
  /// How the policy is named to it; it is started in its folder.
  public lazy var namedPolicy = policyPath
  private var process = Process()

  public var socket: String { folder + "/socket" }
  public var policyPath: String { folder + "/policy.yaml" }
  public var pid: Int32 { process.processIdentifier }
  public var isRunning: Bool { process.isRunning }
  /// What it has written on its standard error since it was started.
  public var errors: String { (try? String(contentsOfFile: folder + "/errors", encoding: .utf8)) ?? "" }

  public init(in folder: String, as user: Account) {
    self.folder = folder
    self.user = user
  }

  public func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
    try user.own(folder + "/" + name)
  }

  /// Starts it, for the first time or again, and waits until it is ready.
  public func start() throws {
    try write("errors", "")
    process = Process()
    process.executableURL = URL(fileURLWithPath: try Programs.path("launch"))
    process.arguments =
      user.prefix + [
        try Programs.path("posternd"), "--policy", namedPolicy, "--socket", socket, "--state-dir", folder + "/state",
      ] + options
    // By this a test finds the processes that the broker has detached.
    process.environment = ProcessInfo.processInfo.environment.merging(["POSTERN_TEST_FOLDER": folder]) { $1 }
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.standardInput = FileHandle.nullDevice
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/errors"))
    try ChildProcess.start(process)
    guard eventually(within: 30, { errors.contains("posternd: ready") || !process.isRunning }), process.isRunning
    else { throw HarnessFailure(description: "the broker does not start: \(errors)") }
  }

  public func signal(_ number: Int32) { kill(pid, number) }

  /// Ends it with a signal; gives its exit status, or the signal's number.
  @discardableResult
  public func end(_ number: Int32 = SIGTERM) -> Int32 {
    guard process.isRunning else { return -1 }
    kill(pid, SIGCONT)
    kill(pid, number)
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// Runs `body` while the broker is stopped, so that everything in it has happened before the broker looks.
  public func whileStopped(_ body: () throws -> Void) throws {
    signal(SIGSTOP)
    defer { signal(SIGCONT) }
    let isStopped = eventually {
      (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8))?.contains("T (stopped)") ?? false
    }
    guard isStopped else { throw HarnessFailure(description: "the broker does not stop") }
    try body()
  }

  /// How many descriptors it holds now.
  public var descriptorCount: Int { descriptors.count }

  /// Its descriptors as soon as everything is open that stays open: what it needs for the first connection, and the journal's segment,
  /// which is opened for the first record by a thread of its own.
  public func settledDescriptors() throws -> [String] {
    _ = try Command.run(try line("read", "no-such-object"))
    _ = try eventually { try journal().contains { $0.kind == "refusal" } }
    return descriptors
  }

  /// What they are.
  public var descriptors: [String] {
    let folder = "/proc/\(pid)/fd"
    return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).map { number in
      "\(number) \((try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(number)")) ?? "?")"
    }
  }

  /// Its resident memory now, KiB.
  public var memory: Int { Self.memory(of: pid) }

  /// A process's resident memory now, KiB.
  public static func memory(of pid: Int32) -> Int {
    let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
    return Int(line.filter(\.isNumber)) ?? 0
  }

  /// The command line of a `postern` command as the broker's own user, or another.
  public func line(_ arguments: String..., as user: Account? = nil) throws -> [String] {
    try line(arguments, as: user)
  }

  public func line(_ arguments: [String], as user: Account? = nil) throws -> [String] {
    (user ?? self.user).prefix + [try Programs.path("postern"), "--socket", socket] + arguments
  }
}

import Foundation
import TestSupport
import Glibc
import Instructions
import Linux
import Synchronization
import Testing

struct HarnessFailure: Error, CustomStringConvertible {
  var description: String
}

/// What a test needs of the machine; with POSTERN_REQUIRE_ALL_TIERS a test runs where it is missing, and fails.
enum Tier {
  static let isRequired = ProcessInfo.processInfo.environment["POSTERN_REQUIRE_ALL_TIERS"] != nil
  static let root = isRequired || geteuid() == 0
}

/// How long a test waits for what is to happen; a machine under load may need some of it.
let patience = 20.0

/// Calls `body` until it gives something.
func eventually<Found>(_ what: String, _ body: () throws -> Found?) throws -> Found {
  let end = Date() + patience
  while Date() < end {
    if let found = try body() { return found }
    usleep(1000)
  }
  throw HarnessFailure(description: "\(what): not within \(patience) seconds")
}

/// Tests/LinuxTests/Programs/notified.c, built once.
enum Program {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path
  private static let folder = FileManager.default.temporaryDirectory.path + "/postern-linux-\(getpid())"

  private static let built: Result<String, HarnessFailure> = {
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
      atexit { try? FileManager.default.removeItem(atPath: Program.folder) }
      let compiler = Process()
      let errors = ChildProcess.pipe()
      compiler.executableURL = URL(fileURLWithPath: "/usr/bin/gcc")
      // Static: nothing is opened before main.
      compiler.arguments =
        ["-std=gnu11", "-O1", "-static", "-pthread", "-Wall", "-Wextra", "-Werror"]
        + [
          "-I", root + "/Sources/CLinux/include", "-o", folder + "/notified",
          root + "/Tests/LinuxTests/Programs/notified.c", root + "/Sources/CLinux/seccomp.c",
        ]
      compiler.standardError = errors
      try ChildProcess.start(compiler)
      let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      compiler.waitUntilExit()
      guard compiler.terminationStatus == 0 else { return .failure(HarnessFailure(description: said)) }
      return .success(folder + "/notified")
    } catch {
      return .failure(HarnessFailure(description: "\(error)"))
    }
  }()

  static func path() throws -> String { try built.get() }
}

/// A process of the program, with its input and output; killed with its owner.
final class Child: Sendable {
  let pid: Int32
  private let input: Pipe
  private let output: Pipe
  private let hasEnded = Mutex(false)

  /// Starts it from the calling thread, whose filter it inherits.
  ///
  /// - Parameter inherited: stays open in it under number 3.
  init(
    _ arguments: [String], inherited: Int32? = nil, input: Pipe = ChildProcess.pipe(),
    output: Pipe = ChildProcess.pipe()
  ) throws {
    let path = try Program.path()
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    var none = sigset_t()
    var child: pid_t = 0
    unsafe sigemptyset(&none)
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawn_file_actions_adddup2(&actions, input.fileHandleForReading.fileDescriptor, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output.fileHandleForWriting.fileDescriptor, 1)
    if let inherited { unsafe posix_spawn_file_actions_adddup2(&actions, inherited, 3) }
    unsafe posix_spawnattr_init(&attributes)
    // Threads of ours block every signal, and that is inherited.
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    var strings: [UnsafeMutablePointer<CChar>?] = unsafe ([path] + arguments).map { unsafe strdup($0) } + [nil]
    var environment: [UnsafeMutablePointer<CChar>?] = unsafe [nil]
    let code = ChildProcess.alone {
      unsafe posix_spawn(&child, path, &actions, &attributes, &strings, &environment)
    }
    unsafe strings.forEach { unsafe free($0) }
    unsafe posix_spawn_file_actions_destroy(&actions)
    unsafe posix_spawnattr_destroy(&attributes)
    guard code == 0 else { throw HarnessFailure(description: "posix_spawn: \(SystemError.message(of: code))") }
    pid = child
    self.input = input
    self.output = output
    try output.fileHandleForWriting.close()
    try input.fileHandleForReading.close()
  }

  deinit {
    guard !hasEnded.withLock({ $0 }) else { return }
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
  }

  /// Ends an `await_line` of it.
  func tell() throws { try input.fileHandleForWriting.write(contentsOf: Data("\n".utf8)) }

  /// What it said next.
  func line() throws -> String {
    var bytes: [UInt8] = []
    while try isReadable(output.fileHandleForReading.fileDescriptor, timeoutMilliseconds: Int32(patience * 1000)) {
      guard let byte = try output.fileHandleForReading.read(upToCount: 1)?.first else { break }
      if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
      bytes.append(byte)
    }
    throw HarnessFailure(description: "no line from the program, but: \(String(decoding: bytes, as: UTF8.self))")
  }

  /// Its wait status where it has ended.
  func ended() -> Int32? {
    var status: Int32 = 0
    guard unsafe waitpid(pid, &status, WNOHANG) == pid else { return nil }
    hasEnded.withLock { $0 = true }
    return status
  }

  /// What it says until it ends by itself.
  func finish() throws -> [String] {
    let status = try eventually("end of the program") { ended() }
    #expect(status == 0)
    return try rest()
  }

  /// What it has said, after it has ended.
  func rest() throws -> [String] {
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    return text.split(separator: "\n").map(String.init)
  }

  /// Ends it where it is, and waits until it is gone.
  func slay() throws {
    kill(pid, SIGKILL)
    _ = try eventually("end of the program") { ended() }
  }
}

/// The program under the filter, and the listener.
///
/// A thread of this process installs the filter and starts it: nothing else of this process is under the filter.
final class Filtered {
  let listener: NotificationListener
  let child: Child

  init(_ calls: NotifiedCalls, _ arguments: String...) throws {
    // Built before, or the compiler would be under the filter.
    _ = try Program.path()
    let (shared, child) = try onThread {
      (SharedDescriptor(try NotificationFilter.install(calls)), try Child(arguments))
    }
    guard let descriptor = shared.take() else { throw HarnessFailure(description: "no listener") }
    listener = try NotificationListener(descriptor)
    self.child = child
  }

  /// The next notification that was not interrupted.
  func next() throws -> Linux.Notification { try next(of: listener) }

  func next(of listener: borrowing NotificationListener) throws -> Linux.Notification {
    try notification { try listener.receive() }
  }

  func next(into ledger: borrowing NotificationLedger) throws -> Linux.Notification {
    try notification { try listener.receive(into: ledger) }
  }

  private func notification(_ receive: () throws -> NotificationListener.Received) throws -> Linux.Notification {
    try eventually("notification") {
      guard case .notification(let notification) = try receive() else { return nil }
      return notification
    }
  }

  /// Waits until a notification could be received.
  func waitForNotification() throws {
    guard try isReadable(listener.descriptor.rawValue, timeoutMilliseconds: Int32(patience * 1000)) else {
      throw HarnessFailure(description: "no notification")
    }
  }
}

/// Runs `body` on a thread of its own, which takes what was done to it along when it ends.
///
/// Expectations belong after it: on another thread they belong to no test.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
  let outcome = Outcome<Value>()
  try Linux.Thread("test") {
    let result = Result { try body() }
    outcome.result.withLock { $0 = result }
  }.join()
  guard let result = outcome.result.withLock({ $0 }) else { throw HarnessFailure(description: "the thread ended") }
  return try result.get()
}

private final class Outcome<Value: Sendable>: Sendable {
  let result = Mutex<Result<Value, any Error>?>(nil)
}

/// The errno with which `body` fails; nil where it does not.
func failure(_ body: () throws -> Void) -> Int32? {
  do {
    try body()
    return nil
  } catch { return (error as? SystemError)?.errno ?? -1 }
}

extension NetworkAddress {
  static func loopback(port: UInt16) -> NetworkAddress {
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    bytes[0] = 127
    bytes[3] = 1
    return NetworkAddress(family: .ipv4, bytes: bytes, port: port)
  }

  /// Zeros and then this byte, port 0.
  static func ipv6(last: UInt8) -> NetworkAddress {
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    bytes[15] = last
    return NetworkAddress(family: .ipv6, bytes: bytes, port: 0)
  }
}

import Foundation
import Glibc
import Testing

/// A broker of its own in a scratch folder, and the programs that a test runs against it.
///
/// `run` sees to it that everything has ended and is removed afterwards, and that the broker then holds no more
/// descriptors than before.
final class Scene {
  let folder: String
  /// An address of the loopback interface that no other test and no server of this machine has.
  let address = "127.77.\(Int.random(in: 1...254)).\(Int.random(in: 1...254))"
  let brokerUser: Account
  let applicationUser: Account
  private var broker = Process()
  /// What the broker is started with beside its paths.
  private let options: [String]
  private var actors: [Actor] = []
  private var descriptorsAtStart = 0

  var socket: String { folder + "/socket" }
  var policyPath: String { folder + "/policy.yaml" }
  var image: String { folder + "/image" }
  var brokerPID: Int32 { broker.processIdentifier }

  /// Runs `body` with a broker that serves `policy`, in which `$IMAGE` stands for an image file that begins with "AAAA",
  /// `$FOLDER` for the scratch folder, `$ADDRESS` for the scene's own, `$USER` for the applications' user and `$ACTOR` for
  /// their program; `options` are the broker's, with the same words in them.
  static func run(
    _ policy: String, broker: Account = .own, application: Account = .application, options: [String] = [],
    _ body: (Scene) throws -> Void
  ) throws {
    let scene = try Scene(broker, application, options)
    defer { scene.end() }
    try scene.write("image", String(repeating: "A", count: 8192))
    try scene.write("policy.yaml", try scene.expand(policy))
    try scene.start()
    try body(scene)
    scene.expectNothingLeft()
  }

  private init(_ broker: Account, _ application: Account, _ options: [String]) throws {
    self.options = options
    brokerUser = broker
    applicationUser = application
    folder = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
    try broker.own(folder)
    try FileManager.default.createDirectory(
      atPath: folder + "/open", withIntermediateDirectories: false)
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder + "/open")
  }

  /// Where one program can give another a descriptor.
  var meeting: String { folder + "/open/meeting" }

  func expand(_ text: String) throws -> String {
    text.replacing("$IMAGE", with: image).replacing("$FOLDER", with: folder).replacing("$ADDRESS", with: address)
      .replacing("$USER", with: applicationUser.name).replacing("$ACTOR", with: try Programs.path("actor"))
  }

  func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
    try brokerUser.own(folder + "/" + name)
  }

  private func start() throws {
    let line =
      try brokerUser.prefix + [
        try Programs.path("posternd"), "--policy", policyPath, "--socket", socket, "--state-dir", folder + "/state",
      ] + options.map { try expand($0) }
    try write("errors", "")
    broker.executableURL = URL(fileURLWithPath: try Programs.path("launch"))
    broker.arguments = line
    broker.standardInput = FileHandle.nullDevice
    broker.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/errors"))
    try broker.run()
    guard Scene.eventually({ self.errors.contains("posternd: ready") || !self.broker.isRunning }), broker.isRunning
    else { throw HarnessFailure(description: "the broker does not start: \(errors)") }
    // What it opens for the first connection and the first record (the journal's segment) stays open.
    _ = try postern("read", "no-such-object")
    descriptorsAtStart = descriptorCount
  }

  /// Ends the broker at once, as a crash would.
  func killBroker() {
    kill(brokerPID, SIGKILL)
    broker.waitUntilExit()
  }

  /// Starts a broker again where one was killed.
  func startAgain() throws {
    broker = Process()
    try start()
  }

  /// What the broker has written on its standard error.
  var errors: String { (try? String(contentsOfFile: folder + "/errors", encoding: .utf8)) ?? "" }

  /// How many descriptors the broker holds now.
  var descriptorCount: Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(brokerPID)/fd").count) ?? 0
  }

  /// The broker's resident memory now, KiB.
  var memory: Int {
    let status = (try? String(contentsOfFile: "/proc/\(brokerPID)/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
    return Int(line.filter(\.isNumber)) ?? 0
  }

  /// Starts the actor program as the applications' user.
  func actor(_ program: String = "actor", as user: Account? = nil) throws -> Actor {
    let actor = try Actor((user ?? applicationUser).prefix + [try Programs.path(program), socket])
    actors.append(actor)
    return actor
  }

  /// Starts another of the test programs, with the socket as its first argument.
  func start(_ program: String, arguments: [String]) throws -> Actor {
    try start([try Programs.path(program), socket] + arguments, as: applicationUser)
  }

  /// Starts any program that does what it is told one line at a time.
  func start(_ line: [String], as user: Account) throws -> Actor {
    let actor = try Actor(user.prefix + line)
    actors.append(actor)
    return actor
  }

  /// Runs a `postern` command as the broker's own user.
  @discardableResult
  func postern(_ arguments: String..., as user: Account? = nil) throws -> Command.Result {
    try Command.run((user ?? brokerUser).prefix + [try Programs.path("postern"), "--socket", socket] + arguments)
  }

  func signal(_ number: Int32) { kill(brokerPID, number) }

  /// Runs `body` while the broker is stopped, so that everything in it has happened before the broker looks.
  func whileStopped(_ body: () throws -> Void) throws {
    signal(SIGSTOP)
    defer { signal(SIGCONT) }
    let isStopped = Scene.eventually {
      (try? String(contentsOfFile: "/proc/\(brokerPID)/status", encoding: .utf8))?.contains("T (stopped)") ?? false
    }
    guard isStopped else { throw HarnessFailure(description: "the broker does not stop") }
    try body()
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

  private func expectNothingLeft() {
    for actor in actors { actor.end() }
    // Looked at once: the broker opens files of proc(5) for a moment now and then, also right after it was seen to be back.
    let isBack = Scene.eventually { descriptorCount <= descriptorsAtStart }
    #expect(isBack, "the broker kept descriptors: \(descriptorCount), \(descriptorsAtStart) at the start")
    #expect(broker.isRunning, "the broker ended: \(errors)")
    broker.terminate()
    broker.waitUntilExit()
    #expect(broker.terminationStatus == 0, "\(errors)")
  }

  private func end() {
    for actor in actors { actor.end() }
    if broker.isRunning {
      kill(brokerPID, SIGCONT)
      broker.terminate()
      broker.waitUntilExit()
    }
    try? FileManager.default.removeItem(atPath: folder)
  }
}

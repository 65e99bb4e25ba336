import Foundation
import Glibc
import TestSupport
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
  private let broker: RunningBroker
  private var actors: [Dialogue] = []
  private var descriptorsAtStart = 0
  /// What the broker rightly keeps at the end of a test.
  var descriptorsKept = 0

  var socket: String { broker.socket }
  var policyPath: String { broker.policyPath }
  var image: String { folder + "/image" }
  var brokerPID: Int32 { broker.pid }

  /// Runs `body` with a broker that serves `policy`, in which `$IMAGE` stands for an image file that begins with "AAAA",
  /// `$FOLDER` for the scratch folder, `$ADDRESS` for the scene's own, `$USER` for the applications' user and `$ACTOR` for
  /// their program; `options` are the broker's, with the same words in them.
  static func run(
    _ policy: String, broker: Account = .own, application: Account = .application, options: [String] = [],
    _ body: (Scene) throws -> Void
  ) throws {
    let scene = try Scene(broker, application)
    scene.broker.options = try options.map { try scene.expand($0) }
    defer { scene.end() }
    try scene.write("image", String(repeating: "A", count: 8192))
    try scene.write("policy.yaml", try scene.expand(policy))
    try scene.start()
    try body(scene)
    scene.expectNothingLeft()
  }

  private init(_ broker: Account, _ application: Account) throws {
    brokerUser = broker
    applicationUser = application
    folder = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
    try broker.own(folder)
    self.broker = RunningBroker(in: folder, as: broker)
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

  func write(_ name: String, _ text: String) throws { try broker.write(name, text) }

  func read(_ name: String) throws -> String { try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8) }

  private func start() throws {
    try broker.start()
    descriptorsAtStart = try broker.settledDescriptors().count
  }

  /// Ends the broker at once, as a crash would.
  func killBroker() { broker.end(SIGKILL) }

  /// Stops the broker in order; gives its exit status.
  func stopBroker() -> Int32 { broker.end() }

  /// Starts a broker again where one was killed, with the policy named so.
  func startAgain(policy: String? = nil) throws {
    if let policy { broker.namedPolicy = policy }
    try start()
  }

  /// What the broker has written on its standard error.
  var errors: String { broker.errors }

  /// How many descriptors the broker holds now.
  var descriptorCount: Int { broker.descriptorCount }

  /// The broker's resident memory now, KiB.
  var memory: Int { broker.memory }

  /// Every record of the journal, oldest first.
  func journal() throws -> [JournalRecord] { try broker.journal() }

  /// The records about one process.
  func journal(of pid: String) throws -> [JournalRecord] { try journal().filter { $0.pid == Int32(pid) } }

  func associations() throws -> [AssociationRow] { try broker.associations() }

  /// Starts the actor program as the applications' user.
  func actor(_ program: String = "actor", as user: Account? = nil) throws -> Dialogue {
    let actor = try Dialogue((user ?? applicationUser).prefix + [try Programs.path(program), socket])
    actors.append(actor)
    return actor
  }

  /// Starts another of the test programs, with the socket as its first argument.
  func start(_ program: String, arguments: [String]) throws -> Dialogue {
    try start([try Programs.path(program), socket] + arguments, as: applicationUser)
  }

  /// Starts any program that does what it is told one line at a time.
  func start(_ line: [String], as user: Account) throws -> Dialogue {
    let actor = try Dialogue(user.prefix + line)
    actors.append(actor)
    return actor
  }

  /// Runs a `postern` command as the broker's own user.
  @discardableResult
  func postern(_ arguments: String..., as user: Account? = nil) throws -> Command.Result {
    try postern(arguments, as: user)
  }

  @discardableResult
  func postern(_ arguments: [String], as user: Account? = nil) throws -> Command.Result {
    try Command.run(try broker.line(arguments, as: user))
  }

  func signal(_ number: Int32) { broker.signal(number) }

  /// Runs `body` while the broker is stopped, so that everything in it has happened before the broker looks.
  func whileStopped(_ body: () throws -> Void) throws { try broker.whileStopped(body) }

  private func expectNothingLeft() {
    for actor in actors { actor.end() }
    // Looked at once: the broker opens files of proc(5) for a moment now and then, also right after it was seen to be back.
    let isBack = eventually { descriptorCount <= descriptorsAtStart + descriptorsKept }
    #expect(isBack, "the broker kept descriptors: \(descriptorCount), \(descriptorsAtStart) at the start")
    #expect(broker.isRunning, "the broker ended: \(errors)")
    let status = broker.end()
    #expect(status == 0, "\(errors)")
  }

  private func end() {
    for actor in actors { actor.end() }
    broker.end()
    try? FileManager.default.removeItem(atPath: folder)
  }
}

import Foundation
import Glibc
import TestSupport
import Testing

/// A broker, and a network namespace in which programs run as an ordinary user with nothing but what it grants.
///
/// The broker is in the host's namespaces, where the kernel tells it of forks; the policy names the network namespace.
/// `run` sees to it that everything has ended and is removed afterwards.
final class Scene {
  let folder: String
  let broker: RunningBroker
  let network: NetworkNamespace
  private var count = 0
  private var dialogues: [Dialogue] = []
  private var descriptorsAtStart: [String] = []
  private var wasRestarted = false

  /// Runs `body` with a broker that serves `policy`, in which `$NETWORK` stands for the namespace's path, `$FOLDER` for
  /// the scratch folder and `$USER` for the programs' user.
  static func run(_ policy: String, _ body: (Scene) throws -> Void) throws {
    let scene = try Scene()
    defer { scene.end() }
    try scene.write(policy: policy)
    try scene.start()
    try body(scene)
    scene.expectNothingLeft()
  }

  private init() throws {
    folder = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
    try FileManager.default.createDirectory(atPath: folder + "/open", withIntermediateDirectories: false)
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder + "/open")
    broker = RunningBroker(in: folder, as: .own)
    network = try NetworkNamespace()
  }

  func write(policy: String) throws {
    try broker.write(
      "policy.yaml",
      policy.replacing("$NETWORK", with: network.path).replacing("$FOLDER", with: folder)
        .replacing("$USER", with: Account.nobody.name))
  }

  func start() throws {
    try broker.start()
    // What it opens for the first connection and the first record stays open.
    try postern("read", "no-such-object")
    _ = eventually { broker.descriptors.contains { $0.contains("/state/journal-") } }
    descriptorsAtStart = broker.descriptors
  }

  /// Starts the broker again after it was ended. It serves the programs that run still, which takes descriptors.
  func restart() throws {
    wasRestarted = true
    try broker.start()
  }

  // MARK: Programs

  /// What stands before the command line of a program that has no privilege at all.
  func unprivileged(in place: NetworkNamespace? = nil) -> [String] {
    (place ?? network).prefix + [
      "/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all",
      "--bounding-set=-all", "--", "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    ]
  }

  private func runLine(
    _ command: [String], _ options: [String], in place: NetworkNamespace? = nil
  ) throws -> [String] {
    unprivileged(in: place) + [try Programs.path("postern"), "--socket", broker.socket, "run"] + options + ["--"]
      + command
  }

  /// Starts a program by `postern run`. Its pid is the program's own.
  func run(_ command: String..., options: [String] = []) throws -> Service {
    count += 1
    return try Service(try runLine(command, options), output: folder + "/output\(count)")
  }

  /// Runs a program by `postern run` to its end.
  func runToEnd(_ command: String..., options: [String] = []) throws -> Command.Result {
    try Command.run([try Programs.path("launch")] + runLine(command, options))
  }

  /// Runs a program to its end as the same user in the same place, without Postern.
  func plainly(_ command: String...) throws -> Command.Result {
    try Command.run([try Programs.path("launch")] + unprivileged() + command)
  }

  /// A Python that does what it is told, under `postern run` or not.
  func python(isPlain: Bool = false, in place: NetworkNamespace? = nil) throws -> Dialogue {
    let command = ["python3", try Programs.path("obey")]
    let dialogue = try Dialogue(isPlain ? unprivileged() + command : try runLine(command, [], in: place))
    dialogues.append(dialogue)
    return dialogue
  }

  /// Runs a `postern` command as root.
  @discardableResult
  func postern(_ arguments: String...) throws -> Command.Result { try Command.run(try broker.line(arguments)) }

  /// The status of the answer to a request, or what curl says.
  func status(_ url: String, _ options: String...) throws -> String {
    let result = try Command.run(
      unprivileged() + ["curl", "-sS", "-k", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}"] + options + [
        url
      ]
    )
    return result.status == 0 ? result.output : "curl \(result.status)"
  }

  /// Waits until requests are answered.
  func answers(_ url: String) throws -> Bool { try eventually { try status(url) == "200" } }

  // MARK: What the broker says

  func refusals(of pid: Int32) throws -> [JournalRecord] {
    try broker.journal().filter { $0.kind == "refusal" && $0.pid == pid }
  }

  private func expectNothingLeft() {
    for dialogue in dialogues { dialogue.end() }
    let ended = eventually {
      let left = network.pids
      for pid in left { kill(pid, SIGKILL) }
      return left.isEmpty
    }
    #expect(ended, "programs do not end")
    let isBack = eventually { wasRestarted || broker.descriptors.count <= descriptorsAtStart.count }
    #expect(isBack, "the broker kept descriptors: \(broker.descriptors), at the start \(descriptorsAtStart)")
    #expect(broker.isRunning, "the broker ended: \(broker.errors)")
    let status = broker.end()
    #expect(status == 0, "\(broker.errors)")
  }

  private func end() {
    network.remove()
    for dialogue in dialogues { dialogue.end() }
    broker.end(SIGKILL)
    try? FileManager.default.removeItem(atPath: folder)
  }
}

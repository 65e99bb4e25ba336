import Foundation
import Glibc
import TestSupport

/// A broker that is a seccomp agent too, and addresses of its own for containers.
enum Agent {
  static let options = ["--seccomp-agent", "$FOLDER/agent"]

  /// A listener on a port that needs a privilege, for the applications' user.
  static func policy(application: String = "", user: String = "$USER") -> String {
    """
    version: 1
    objects:
      web: { kind: socket, listen: "tcp://$ADDRESS:80" }
    applications:
      app: { user: \(user)\(application) }
    grants:
      - { application: app, object: web, operations: [bind, listen, accept], handover: true }

    """
  }

  /// The processes that keep listeners for the brokers of a scene.
  static func keepers(_ scene: Scene) -> [Int32] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return entries.compactMap { Int32($0) }.filter { pid in
      let line = (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/cmdline"))) ?? Data()
      let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      return words.contains("--keep-listeners") && words.contains(scene.socket)
    }
  }
}

extension Scene {
  var agentSocket: String { folder + "/agent" }

  /// Starts the double of a container runtime, which has to be the broker's user to be let in.
  func runtime() throws -> Dialogue { try start([try Programs.path("runtime"), agentSocket], as: brokerUser) }

  /// A double that has done all that a runtime does, and is now the container: of the applications' user, with a filter
  /// that notifies, whose listener the agent has.
  ///
  /// - Parameter send: how the message is sent.
  func container(_ id: String = "box", send: String = "send 100000 l") throws -> Dialogue {
    let container = try runtime()
    for line in ["connect", "crun \(id)", "filter", send, "forget", "become 65534"] {
      let answer = try container(line)
      guard answer == "ok" else { throw HarnessFailure(description: "\(line): \(answer)") }
    }
    return container
  }
}

extension Tier {
  /// To run a container with crun: it needs a mount namespace in which it sees cgroups of version 2 only.
  static let crun: Bool =
    isRequired
    || geteuid() == 0
      && (try? Command.run(Container.prefix + ["/usr/bin/crun", "--version"]).status) == 0
      && FileManager.default.isExecutableFile(atPath: "/bin/busybox")
}

import ArgumentParser
import Broker
import Instructions
import Linux

@main struct Posternd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "posternd", abstract: "Run the Postern privilege broker in the foreground.", version: Version.text)

  @Option(help: "The policy file; policy.d/*.yaml beside it is merged.") var policy: String?
  @Option(help: "The control socket.") var socket: String?
  @Option(name: .customLong("state-dir"), help: "Where the audit journal is kept.") var stateDirectory: String?
  @Option(
    name: .customLong("seccomp-agent"),
    help: "A socket for container runtimes: what linux.seccomp.listenerPath of a container names.")
  var seccompAgent: String?

  /// What this program is started with again to keep containers' seccomp listeners.
  @Flag(name: .customLong("keep-listeners"), help: .hidden) var keepListeners = false

  mutating func run() {
    if keepListeners { OwnProcess.exit(ContainerKeeper.run(socket: socket ?? StandardPath.socket)) }
    let agent = seccompAgent
    OwnProcess.exit(
      Daemon.run(policy: policy, socket: socket, stateDirectory: stateDirectory) { socketPath in
        agent.map {
          AgentConfiguration(
            path: $0, keeperArguments: ["posternd", "--keep-listeners", "--socket", absolute(socketPath)])
        }
      })
  }

  /// The keeper works in the root folder.
  private func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = try? ProcFile.readLink("/proc/self/cwd") else { return path }
    return folder + "/" + path
  }
}

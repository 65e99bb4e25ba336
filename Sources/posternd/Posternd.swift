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

  @Option(
    name: .customLong("kernel-programs"),
    help: "The file with the kernel programs of the path direct.")
  var kernelPrograms: String?
  @Option(name: .customLong("bpf-pins"), help: "Where they are pinned: a folder in a BPF file system.")
  var pins: String?

  /// What this program is started with again to keep containers' seccomp listeners.
  @Flag(name: .customLong("keep-listeners"), help: .hidden) var keepListeners = false

  /// What this program is started with again to hold applications' rings.
  @Flag(name: .customLong("hold-rings"), help: .hidden) var holdRings = false

  mutating func run() {
    if holdRings { OwnProcess.exit(RingHandsProcess.run()) }
    if keepListeners { OwnProcess.exit(ContainerKeeper.run(socket: socket ?? StandardPath.socket)) }
    let agent = seccompAgent
    OwnProcess.exit(
      Daemon.run(
        policy: policy, socket: socket, stateDirectory: stateDirectory,
        direct: DirectConfiguration(
          objectFile: kernelPrograms ?? StandardPath.kernelPrograms, pins: pins ?? StandardPath.pins),
        ringArguments: ["posternd", "--hold-rings"]
      ) { socketPath in
        // The keeper works in the root folder.
        agent.map {
          AgentConfiguration(
            path: $0, keeperArguments: ["posternd", "--keep-listeners", "--socket", StandardPath.absolute(socketPath)])
        }
      })
  }
}

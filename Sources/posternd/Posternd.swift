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

  mutating func run() {
    OwnProcess.exit(Daemon.run(policy: policy, socket: socket, stateDirectory: stateDirectory))
  }
}

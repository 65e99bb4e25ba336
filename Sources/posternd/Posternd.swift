import ArgumentParser
import Broker

@main struct Posternd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "posternd", abstract: "The Postern privilege broker, in the foreground.", version: Version.text)

  @Option(help: "The policy file; policy.d/*.yaml beside it is merged.") var policy: String?
  @Option(help: "The control socket.") var socket: String?
  @Option(name: .customLong("state-dir"), help: "Where the audit journal is kept.") var stateDirectory: String?

  static func main() { Daemon.exit(parsing: { try parseAsRoot() }, helpAndUsage: { Self.exit(withError: $0) }) }

  mutating func run() throws { Daemon.run(policy: policy, socket: socket, stateDirectory: stateDirectory) }
}

import Audit
import Instructions
import Linux
import Policy

/// `posternd`: reads its settings, confines itself, serves, and says in its exit status why it stopped.
public enum Daemon {
  /// Runs a broker in the foreground until SIGTERM or SIGINT.
  ///
  /// - Returns: the exit status: 0 stopped in order, 65 the policy has mistakes, 69 it cannot serve, 77 not permitted.
  ///
  /// - Parameter seccompAgent: makes the settings of the agent for a broker that serves at the path it gets; nil: none.
  public static func run(
    policy: String?, socket: String?, stateDirectory: String?, direct: DirectConfiguration = DirectConfiguration(),
    ringArguments: [String]? = nil, seccompAgent: (_ socketPath: String) -> AgentConfiguration? = { _ in nil }
  ) -> Int32 {
    var configuration = BrokerConfiguration(
      policyFile: policy ?? StandardPath.policy, socketPath: socket ?? StandardPath.socket,
      stateDirectory: stateDirectory ?? StandardPath.state, version: Version.text, direct: direct)
    configuration.ringArguments = ringArguments
    configuration.seccompAgent = seccompAgent(configuration.socketPath)
    // A batch of 64 results of 64 KiB, which wait until the client takes them.
    OwnProcess.keepFreedMemory(upTo: 4 << 20)
    do throws(BrokerFailure) {
      do throws(SystemError) {
        // Only where nobody chose a place: a mistyped path is to be an error.
        if socket == nil { try StandardPath.makeFolder(of: configuration.socketPath) }
        if stateDirectory == nil { try StandardPath.makeFolder(of: configuration.stateDirectory) }
      } catch { throw .system(error) }
      let broker = try Broker(configuration)
      for warning in broker.policyWarnings { StandardError.write(warning.line + "\n") }
      do throws(SystemError) {
        try broker.confine()
        broker.surveyHandedOver()
        if broker.journal.hasNewKey {
          StandardError.write(
            "posternd: the audit journal's first key lies in \(configuration.stateDirectory) until it is taken away: "
              + "postern audit key\n")
        }
        StandardError.write("posternd: ready\n")
        try Confinement.notify("READY=1\nSTATUS=serving \(configuration.socketPath)")
      } catch { throw .system(error) }
      try broker.run()
      return 0
    } catch { return report(error, configuration) }
  }

  private static func report(_ failure: BrokerFailure, _ configuration: BrokerConfiguration) -> Int32 {
    func status(_ error: SystemError) -> Int32 { error.isNotPermitted ? 77 : 69 }
    switch failure {
    case .policy(let mistakes):
      for mistake in mistakes.mistakes { StandardError.write(mistake.line + "\n") }
      return 65
    case .policyFile(let error):
      StandardError.write("posternd: the policy cannot be read: \(error)\n")
      return status(error)
    case .socket(let error):
      let hint = error.isAddressInUse ? " (another broker answers there)" : ""
      StandardError.write("posternd: the socket cannot be made: \(error)\(hint)\n")
      return status(error)
    case .agentSocket(let error):
      let hint = error.isAddressInUse ? " (another agent answers there)" : ""
      StandardError.write("posternd: the seccomp agent cannot be started: \(error)\(hint)\n")
      return status(error)
    case .journal(let error):
      StandardError.write("posternd: the audit journal in \(configuration.stateDirectory) cannot be opened: \(error)\n")
      return 69
    case .system(let error):
      StandardError.write("posternd: \(error)\n")
      return status(error)
    }
  }
}

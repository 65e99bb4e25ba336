import ArgumentParser

/// A command of `postern` as `Invocation` runs it.
protocol BrokerCommand: ParsableCommand {
  var global: GlobalOptions { get }
  func perform(_ session: Session) throws(CommandFailure)
}

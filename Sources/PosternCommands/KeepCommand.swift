import ArgumentParser
import Linux
import Postern

/// What `run` starts beside the program; nobody types it.
struct KeepCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "keep", abstract: "Keep a program of `postern run` going while there is no broker.",
    discussion: "Started by `postern run`, which hands it the program's seccomp listener; ends with the program.",
    shouldDisplay: false)

  @Flag(help: "Never ask a broker.")
  var alone = false

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    do {
      let source = try OwnProcess.takeMessageSocket(OwnProcess.detachedDescriptor)
      OwnProcess.rename("postern-keep")
      var keeper = try ListenerKeeper(path: alone ? nil : session.socketPath, source: source)
      try keeper.run()
    } catch {
      throw CommandFailure(
        .usage, "keep: \(error)".escapedForTerminal, errno: error.errno,
        hint: "`postern run` starts it; there is nothing to be done by hand.")
    }
  }
}

import ArgumentParser
import Linux

/// `postern` as a function: arguments in, exit code out.
public enum Invocation {
  /// Runs the command that the process was started for, and ends the process.
  public static func main() -> Never { OwnProcess.exit(run(Array(CommandLine.arguments.dropFirst()))) }

  /// Runs one command with the process's own streams.
  ///
  /// - Parameter arguments: without the program's name.
  public static func run(_ arguments: [String]) -> Int32 {
    OwnProcess.ignoreBrokenPipes()
    return run(arguments, in: ProcessSurroundings()).rawValue
  }

  static func run(_ arguments: [String], in surroundings: any Surroundings) -> CommandStatus {
    let parsed: any ParsableCommand
    do { parsed = try PosternCommand.parseAsRoot(arguments) } catch { return report(error, surroundings) }
    guard let command = parsed as? any BrokerCommand else {
      // A group without its command, or `help`.
      var other = parsed
      do { try other.run() } catch { return report(error, surroundings) }
      return .done
    }
    if let word = command.global.word, word.format == nil, !(command is AuditExportCommand) {
      let mistake = ValidationError("--format \(word.rawValue) is for audit export; expected table or json")
      return report(mistake, surroundings)
    }
    let session = Session(
      command: type(of: command).words.joined(separator: " "), options: command.global, surroundings: surroundings)
    do {
      try command.perform(session)
      return .done
    } catch { return report(error, session) }
  }

  private static func report(_ failure: CommandFailure, _ session: Session) -> CommandStatus {
    if failure.text.isEmpty { return failure.status }
    switch session.format {
    case .table: session.complain(failure.lines(prefix: "postern"))
    case .json: session.complain(failure.json(command: session.command).line + "\n")
    }
    return failure.status
  }

  /// What ArgumentParser throws: help and completion scripts as well as mistakes in the arguments.
  private static func report(_ error: any Error, _ surroundings: any Surroundings) -> CommandStatus {
    let isDone = PosternCommand.exitCode(for: error).isSuccess
    let text = PosternCommand.fullMessage(for: error)
    if text.isEmpty { return isDone ? .done : .usage }
    if isDone {
      try? surroundings.write(Array((text + "\n").utf8), to: .output)
    } else {
      // It quotes the arguments, which may come from a file name somebody else chose.
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      let shown = lines.map { String($0).escapedForTerminal + "\n" }.joined()
      try? surroundings.write(Array(shown.utf8), to: .error)
    }
    return isDone ? .done : .usage
  }
}

extension ParsableCommand {
  /// The command's words without the program's name.
  static var words: [String] { PosternCommand.words(of: Self.self) }
}

import ArgumentParser
import Broker
import Linux
import Policy
import Wire

struct PolicyCheckCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check a policy file; needs no broker.",
    discussion: "Every mistake is printed as FILE:LINE:COLUMN on the error stream; exit 65 if one is an error.")

  @Argument(help: "The policy.", completion: .file(extensions: ["yaml"]))
  var file: String

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let bytes: [UInt8]
    do {
      // One byte more than the reader takes, so that it can say that the file is too long.
      bytes = try ProcFile.read(file, limit: PolicyReader.maximumFileSize + 1)
    } catch {
      throw CommandFailure(
        .badInput,
        "\(file): \(SystemError.message(of: error.errno)) (\(SystemError.symbol(of: error.errno)))".escapedForTerminal,
        errno: error.errno)
    }
    let found: [PolicyMistake]
    switch PolicyReader.read(files: [PolicyFile(name: file, bytes: bytes)], directory: SystemAccounts()) {
    case .success(let policy): found = policy.warnings
    case .failure(let mistakes): found = mistakes.mistakes
    }
    let mistakes = Mistakes(rows: found.map { MistakeRow($0) })
    session.complain(mistakes.lines)
    if session.format == .json {
      try session.print(
        JSON.object([
          "file": .string(file), "valid": .bool(!mistakes.hasErrors), "mistakes": .array(mistakes.rows.map(\.json)),
        ]))
    }
    if mistakes.hasErrors { throw .silent(.badInput) }
  }
}

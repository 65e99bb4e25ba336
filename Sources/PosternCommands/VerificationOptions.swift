import ArgumentParser
import Audit
import Linux

/// What a journal is verified with beside its own files.
struct VerificationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What `audit key` showed; - is the input. Once for each chain of the journal.", valueName: "file"),
    completion: .file())
  var key: [String] = []

  @Option(
    help: ArgumentHelp("Checkpoints that were kept elsewhere; lines that are none are passed over.", valueName: "file"),
    completion: .file())
  var checkpoint: [String] = []

  func validate() throws {
    if key.filter({ $0 == "-" }).count + checkpoint.filter({ $0 == "-" }).count > 1 {
      throw ValidationError("The input can be read once only.")
    }
  }

  /// The options as arguments: the files are opened by whoever needs what is in them.
  var arguments: [String] { key.flatMap { ["--key", $0] } + checkpoint.flatMap { ["--checkpoint", $0] } }

  func read(_ session: Session) throws(CommandFailure) -> VerificationInput {
    var input = VerificationInput()
    for file in key {
      guard let card = KeyCard(text: try Self.text(of: file, limit: 64 << 10, session)) else {
        throw CommandFailure(.badInput, "\(session.command): \(file) is not what `audit key` shows".escapedForTerminal)
      }
      input.cards.append(card)
    }
    for file in checkpoint {
      let found = Checkpoint.all(in: try Self.text(of: file, limit: 64 << 20, session))
      if found.isEmpty {
        throw CommandFailure(.badInput, "\(session.command): there is no checkpoint in \(file)".escapedForTerminal)
      }
      input.checkpoints += found
    }
    return input
  }

  private static func text(of file: String, limit: Int, _ session: Session) throws(CommandFailure) -> String {
    do throws(SystemError) {
      if file != "-" { return String(decoding: try RegularFile.read(file, limit: limit), as: UTF8.self) }
      var bytes: [UInt8] = []
      while bytes.count < limit, try session.surroundings.read(into: &bytes, limit: limit - bytes.count) > 0 {}
      return String(decoding: bytes, as: UTF8.self)
    } catch {
      throw CommandFailure(
        error.isNotPermitted ? .notPermitted : .badInput,
        "\(session.command): \(file): \(SystemError.message(of: error.errno)) (\(SystemError.symbol(of: error.errno)))"
          .escapedForTerminal, errno: error.errno)
    }
  }
}

/// First keys and kept checkpoints.
struct VerificationInput: Sendable {
  var cards: [KeyCard] = []
  var checkpoints: [Checkpoint] = []
}

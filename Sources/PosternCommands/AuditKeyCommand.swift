import ArgumentParser
import Audit
import Linux

struct AuditKeyCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Show the journal's first key, once, and take it away from this machine.",
    discussion: """
      Keep what it prints where this machine's root cannot change it: `audit verify --key` needs it. After that it is not \
      on this machine any more and cannot be shown again.
      """)

  @Flag(
    name: .customLong("public"),
    help: "Only what verifying checkpoints needs: no secret is shown, and none is taken away.")
  var isPublic = false

  @OptionGroup var place: JournalPlace
  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let directory = place.directory(session)
    let card: KeyCard?
    do {
      card = try isPublic ? KeyCard.open(directory: directory) : KeyCard.waiting(directory: directory)
    } catch { throw CommandFailure(error, in: directory, during: "audit key") }
    guard let card else {
      throw CommandFailure(
        isPublic ? .badInput : .denied,
        isPublic
          ? "audit key: there is no journal in \(directory.escapedForTerminal)"
          : "audit key: the first key is not in \(directory.escapedForTerminal) any more: it is shown once",
        hint: isPublic ? "" : "`audit key --public` shows what verifying checkpoints needs.")
    }
    switch session.format {
    case .json: try session.print(card.json)
    case .table: try session.print(card.text)
    }
    if isPublic { return }
    // Printed first: whoever could not read it can ask again.
    do { try KeyCard.forget(directory: directory) } catch {
      throw CommandFailure(error, in: directory, during: "audit key")
    }
    session.warn("this key is not on this machine any more: keep it elsewhere")
  }
}

extension KeyCard {
  fileprivate var json: JSON {
    .object([
      "source": .string(source.text), "chain": .string(chain.text), "key": secretText.map { .string($0) } ?? .null,
      "checkpoints": .string(signerText),
    ])
  }
}

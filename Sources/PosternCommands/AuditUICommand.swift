import ArgumentParser
import Audit
import AuditAnalysis
import AuditViewer
import Linux

struct AuditUICommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "ui",
    abstract: "Look through the journal on the whole terminal, while it is written.",
    discussion: """
      Shows the newest records and what comes; / filters as you type, Enter tells why a record says no and what would \
      have allowed it, ? shows the keys. Options select records as in `audit list`, from the whole journal.
      """)

  @Option(
    help: ArgumentHelp("Keep the last so many records.", valueName: "count"), transform: ArgumentReading.count)
  var newest: UInt32 = 20_000

  @OptionGroup var filter: AuditFilterOptions
  @OptionGroup var source: PolicyOption
  @OptionGroup var global: GlobalOptions

  /// A record takes about a kilobyte.
  static let most: UInt32 = 1_000_000

  func perform(_ session: Session) throws(CommandFailure) {
    let surroundings = session.surroundings
    guard session.format == .table, surroundings.isTerminal(.input), surroundings.isTerminal(.output),
      (surroundings.variable("TERM") ?? "dumb") != "dumb"
    else {
      throw CommandFailure(
        .usage, "\(session.command): this needs a terminal that can do more than print lines",
        hint: "`postern audit follow` prints the records.")
    }
    guard newest > 0, newest <= Self.most else {
      throw CommandFailure(.usage, "\(session.command): --newest is from 1 to \(Self.most)")
    }
    let records = try filter.source(session)
    let rights =
      records.readsAll
      ? [] : ["only records of your own uid are shown to you; those of others are for admins and readers"]
    let end: ViewerTerminal.End
    do throws(SystemError) {
      var screen = try ViewerTerminal(
        records, newest: Int(newest), policy: source.policy, rights: rights,
        abilities: TerminalAbilities(isColoured: session.isColoured, isUnicode: surroundings.isUnicode))
      end = try screen.run()
    } catch {
      throw CommandFailure(.failed, "\(session.command): \(error)".escapedForTerminal, errno: error.errno)
    }
    switch end {
    case .quit: break
    case .signal(let number): OwnProcess.end(bySignal: number)
    case .failure(let failure): throw failure
    }
  }
}

extension Surroundings {
  /// Whether the locale's characters are UTF-8 (locale(7)).
  fileprivate var isUnicode: Bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { variable($0) }
    let name = (names.first { !$0.isEmpty } ?? "").lowercased()
    return name.contains("utf-8") || name.contains("utf8")
  }
}

import Analysis
import AnalysisDatabase
import ArgumentParser
import Audit
import Linux

struct AuditSyncCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "sync", abstract: "Bring the journal into an analysis database: SQLite, or a PostgreSQL server.",
    discussion: """
      Reads the journal's files itself, as root or the broker's own user, and writes nothing there but the database if \
      none is named. Interrupted or killed at any moment it goes on where the database is. Exit 0: everything that is on \
      disk is in the database; 65: a table has stopped at a record that is missing, damaged or unknown, and the message \
      says which; 69: the database cannot be reached.
      """)

  @OptionGroup var analysis: AnalysisPlace

  @Flag(help: "Go on with what is written meanwhile, until interrupted.")
  var follow = false

  @Flag(help: "End when everything is there that is on disk now (default).")
  var once = false

  @Option(
    name: .customLong("accept-loss"), parsing: .singleValue,
    help: ArgumentHelp(
      "These records are lost and will not come: go on behind them, and say so in the database.",
      valueName: "first-last"), transform: ArgumentReading.numbers)
  var accepted: [ClosedRange<UInt64>] = []

  @OptionGroup var place: JournalPlace
  @OptionGroup var global: GlobalOptions

  func validate() throws {
    if follow, once { throw ValidationError("--follow and --once exclude each other.") }
  }

  func perform(_ session: Session) throws(CommandFailure) {
    let directory = place.directory(session)
    var report = SyncReport(session)
    var done: JournalSync?
    while done == nil {
      do throws(SyncError) {
        let sync = try open(directory, session)
        try report.run(sync, follow: follow)
        done = sync
      } catch {
        let failure = CommandFailure(error, in: directory)
        // A server that restarts, or somebody who reads for long: what is not committed is done again.
        guard follow, case .database(let reason) = error, reason.isPassing else { throw failure }
        session.warn(failure.text + "; trying again")
        Clock.sleep(nanoseconds: 1_000_000_000)
      }
    }
    if let done { try report.finish(done) }
  }

  private func open(_ directory: String, _ session: Session) throws(SyncError) -> JournalSync {
    var configuration = JournalSync.Configuration(directory: directory)
    configuration.accepted = accepted
    let database: AnalysisDatabase
    do throws(AnalysisError) {
      database = try AnalysisDatabase(analysis.place(besides: directory))
    } catch { throw .database(error) }
    return try JournalSync(configuration, into: database)
  }
}

/// Where the analysis database lies.
struct AnalysisPlace: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A file, or postgresql://… (default: analysis.sqlite in the journal's directory).", valueName: "database"),
    completion: .file())
  var database: String?

  func validate() throws {
    if database?.isEmpty == true { throw ValidationError("--database: expected a file or postgresql://…") }
  }

  func place(besides directory: String) -> DatabasePlace {
    DatabasePlace(database ?? directory + "/analysis.sqlite")
  }
}

/// What is said while the journal comes into the database.
private struct SyncReport {
  private let session: Session
  private let began: UInt64
  /// When the last line was printed, and what had been applied then.
  private var said: (at: UInt64, applied: UInt64)
  /// Nobody reads what is said any more.
  private var failure: CommandFailure?
  private static let interval: UInt64 = 1_000_000_000
  /// Nanoseconds between two looks at the journal; its key file says how far it is once a second at most.
  private static let pause: UInt64 = 200_000_000

  init(_ session: Session) {
    self.session = session
    began = Clock.boottime()
    said = (began, 0)
  }

  /// Until everything is there, or something has stopped; with `follow`, until the latter.
  mutating func run(_ sync: JournalSync, follow: Bool) throws(SyncError) {
    said.applied = 0
    try sync.begin()
    while true {
      while try sync.advance() {
        if follow || Clock.boottime() &- said.at >= SyncReport.interval { say(sync) }
      }
      if !follow || !sync.stops.isEmpty || failure != nil { return }
      if sync.applied > said.applied { say(sync) }
      Clock.sleep(nanoseconds: SyncReport.pause)
      try sync.look()
    }
  }

  private mutating func say(_ sync: JournalSync) {
    let now = Clock.boottime()
    guard now &- said.at >= SyncReport.interval else { return }
    let rate = Double(sync.applied - said.applied) / (Double(now - said.at) / 1e9)
    said = (now, sync.applied)
    do throws(CommandFailure) { try session.print(line(sync, rate: UInt64(rate))) } catch { failure = error }
  }

  func finish(_ sync: JournalSync) throws(CommandFailure) {
    if let failure { throw failure }
    let seconds = max(Double(Clock.boottime() - began) / 1e9, 1e-9)
    try session.print(line(sync, rate: UInt64(Double(sync.applied) / seconds)))
    for failure in sync.failures {
      session.warn(
        "\(failure.strategy.rawValue) failed for records \(failure.first) to \(failure.last) of \(failure.table.rawValue)"
          + (failure.replacement.map { ", \($0.rawValue) took its place" } ?? "")
          + ": \(failure.reason.escapedForTerminal)")
    }
    guard !sync.stops.isEmpty else { return }
    let text = sync.stops.map { "\($0.tables.map(\.rawValue).sorted().joined(separator: ", ")): \($0.reason)" }
    throw CommandFailure(
      .badInput, "audit sync: stopped: " + text.joined(separator: "; ").escapedForTerminal,
      hint: "`postern audit verify` says what is wrong with the journal; --accept-loss goes on behind what is lost.")
  }

  private func line(_ sync: JournalSync, rate: UInt64) -> String {
    switch session.format {
    case .json:
      var writer = JSONWriter()
      writer.beginObject()
      writer.field("journal", sync.journal.text)
      writer.field("applied", sync.applied)
      writer.field("rate", rate)
      writer.field("lag", sync.lag)
      writer.key("tables")
      writer.beginObject()
      for table in sync.tables {
        writer.key(table.table.rawValue)
        writer.beginObject()
        writer.field("applied", table.applied)
        writer.field("lag", sync.lag(of: table))
        writer.field("state", table.state.rawValue)
        if table.state == .stopped { writer.field("reason", table.reason) }
        writer.endObject()
      }
      writer.endObject()
      writer.key("strategies")
      writer.beginObject()
      for (strategy, count) in sync.strategies.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
        writer.field(strategy.rawValue, count)
      }
      writer.endObject()
      writer.endObject()
      return writer.text + "\n"
    case .table:
      let behind = sync.tables.filter { sync.lag(of: $0) > 0 }
        .map { "\($0.table.rawValue) \(sync.lag(of: $0)) (\($0.state.rawValue))" }
      return "\(sync.applied) records, \(rate)/s, lag \(sync.lag)"
        + (behind.isEmpty ? "" : ": " + behind.joined(separator: ", ")) + "\n"
    }
  }
}

extension AnalysisError {
  /// It may work when it is tried again.
  fileprivate var isPassing: Bool {
    switch self {
    case .unreachable, .busy: true
    case .refused, .overtaken, .foreign: false
    }
  }
}

extension CommandFailure {
  init(_ error: SyncError, in directory: String) {
    switch error {
    case .journal(let error): self.init(error, in: directory, during: "audit sync")
    case .noJournal:
      self.init(
        .badInput, "audit sync: there is no journal in \(directory.escapedForTerminal)",
        hint: "--state-dir names its directory, as it was given to posternd.")
    case .otherJournal: self.init(.failed, "audit sync: another journal lies there now: start again")
    case .database(let error): self.init(error, during: "audit sync")
    }
  }

  init(_ error: AnalysisError, during action: String) {
    let text = "\(action): \(error.text.escapedForTerminal)"
    switch error {
    case .unreachable: self.init(.unreachable, text)
    case .busy, .refused, .overtaken: self.init(.failed, text)
    case .foreign: self.init(.badInput, text)
    }
  }
}

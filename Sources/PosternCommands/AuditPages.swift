import ArgumentParser
import Audit
import AuditAnalysis
import AuditViewer
import Authority
import Linux
import Postern
import Synchronization

/// What the page of `postern audit serve` shows, as JSON; of HTTP it knows nothing.
///
/// It asks the broker with the rights of whoever started it.
public final class AuditPages: Sendable {
  private struct State {
    var kept: KeptRecords
    var obstacle: String?
    var skipped: UInt64 = 0
    var means = VerificationInput()
  }

  /// Where the page is served.
  public enum Place: Sendable, Hashable {
    /// 0: any that is free.
    case port(UInt16)
    case socket(path: String)
  }

  public let place: Place
  private let socket: String
  private let policy: String?
  private let stateDirectory: String
  private let state: Mutex<State>
  private let means: VerificationOptions
  /// Whoever holds it asks the broker or reads the policy; more at a time would only take each other's time.
  private let reading = Mutex<Void>(())
  /// What verifying came to last. Whoever holds it verifies, which can take a minute: others do not wait for that.
  private let verified = Mutex<(begun: UInt64, answer: String)?>(nil)

  private static let command = "audit serve"

  /// - Parameter arguments: as `postern audit serve` passes them; nil: others.
  public init?(arguments: [String]) {
    guard arguments.count >= 6, let newest = Int(arguments[4]), newest > 0,
      let means = try? VerificationOptions.parse(Array(arguments.dropFirst(6)))
    else { return nil }
    switch (arguments[5], UInt16(arguments[1])) {
    case ("port", let port?): place = .port(port)
    case ("socket", _): place = .socket(path: arguments[1])
    default: return nil
    }
    self.means = means
    socket = arguments[0]
    policy = arguments[2].isEmpty ? nil : arguments[2]
    stateDirectory = arguments[3]
    state = Mutex(State(kept: KeptRecords(capacity: newest)))
  }

  /// Reads the first keys, and the newest records and what comes on threads of their own.
  ///
  /// - Returns: why that does not work, escaped, and the exit code; nil: it does.
  public func start() -> (status: Int32, text: String)? {
    do {
      let session = Session(silent: Self.command, socket: socket)
      let means = try means.read(session)
      let newest = state.withLock { state in
        state.means = means
        return state.kept.capacity
      }
      let feed = try RecordFeed(
        try session.connect(), filter: AuditFilter(), newest: newest, command: Self.command)
      _ = try Thread("page-feed") { [self] in
        while true {
          feed.arrived.wait(milliseconds: nil)
          while take(feed) {}
        }
      }
      return nil
    } catch let failure as CommandFailure { return (failure.status.rawValue, failure.text) } catch {
      return (CommandStatus.failed.rawValue, "audit serve: \(error)".escapedForTerminal)
    }
  }

  private func take(_ feed: RecordFeed) -> Bool {
    let (news, hasMore) = feed.take(4)
    state.withLock { state in
      for item in news {
        switch item {
        case .records(let records, _): for record in records { state.kept.append(record) }
        case .skipped(let count): state.skipped += count
        case .brokerLost(let why): state.obstacle = why
        case .brokerBack: state.obstacle = nil
        case .ended(let failure): state.obstacle = failure.text
        }
      }
    }
    return hasMore
  }

  /// What a person is told to open, escaped.
  public func invitation(to address: String) -> String {
    switch place {
    case .port: "Open \(address)"
    case .socket(let path): "Open \(address) at the socket \(path.escapedForTerminal)"
    }
  }

  // MARK: Answers

  public func view(filter: String) -> LiveView {
    LiveView(filter: filter) { text in (try? ArgumentReading.moment(text))?.nanoseconds(now: Clock.wall()) }
  }

  /// See `LiveView.message`.
  public func message(for view: inout LiveView) -> String? {
    var copy = view
    let message = state.withLock { copy.message(from: $0.kept, skipped: $0.skipped, obstacle: $0.obstacle) }
    view = copy
    return message
  }

  /// Records that match and are older than a number: the newest of them that some span has. May take a second.
  public func older(filter text: String, before sequence: UInt64) -> String {
    reading.withLock { _ in
      do {
        let filter = try AuditFilter(parsing: text) { text in
          (try? ArgumentReading.moment(text))?.nanoseconds(now: Clock.wall())
        }
        let session = Session(silent: Self.command, socket: socket)
        let source = RecordSource(session: session, broker: try session.connect(), filter: filter)
        let found = try source.older(than: sequence, LiveView.mostRows, span: Self.searchSpan) { true }
        return LiveView.found(found?.records ?? [], from: found?.from ?? sequence)
      } catch let failure as CommandFailure {
        return Self.object { $0.field("obstacle", failure.text) }
      } catch { return Self.object { $0.field("obstacle", "this is no filter") } }
    }
  }

  /// Numbers that one question for older records looks at.
  private static let searchSpan: UInt64 = 100_000

  /// Why a record says what it says, and what would have allowed it. May take a second.
  public func why(_ id: UInt64) -> String {
    reading.withLock { _ in
      do throws(CommandFailure) {
        let session = Session(silent: Self.command, socket: socket)
        let records = RecordSource(session: session, broker: try session.connect())
        let retelling = try Retelling(id, records, policy: policy)
        let suggestion = retelling.suggestion()
        return Detail.json(
          sequence: id, parts: retelling.parts, suggestion: suggestion?.suggestion.lines ?? [],
          diff: suggestion?.diff ?? [])
      } catch { return Self.object { $0.field("obstacle", error.text) } }
    }
  }

  /// Both verdicts on the journal. Reads all of it, once for all who asked before it began.
  public func verification() -> String {
    let asked = Clock.boottime()
    return verified.withLock { verified in
      if let verified, verified.begun >= asked { return verified.answer }
      let begun = Clock.boottime()
      let answer = verify()
      verified = (begun, answer)
      return answer
    }
  }

  private func verify() -> String {
    let means = state.withLock { $0.means }
    do throws(JournalError) {
      let result = try Verification(directory: stateDirectory, cards: means.cards, checkpoints: means.checkpoints)
      return Self.object { writer in
        writer.field("integrity", result.integrity.rawValue)
        writer.field("completeness", result.completenessLine)
        writer.field("advice", result.advice)
        writer.field("isGood", result.isGood && result.isKeyed)
        writer.field("isBad", result.isBad)
        writer.field("lines", lines: result.lines)
      }
    } catch {
      return Self.object { writer in
        writer.field("obstacle", "not verified: you may not read the journal's files")
        writer.field("lines", lines: [CommandFailure(error, in: stateDirectory, during: Self.command).text])
      }
    }
  }

  /// Who may what by the policy of now, and words of filters.
  public func grants() -> String {
    let model = reading.withLock { _ -> PolicySource? in
      let session = Session(silent: Self.command, socket: socket)
      guard let broker = try? session.connect() else { return nil }
      return try? PolicySource(policy, session, broker)
    }?.model
    return Self.object { writer in
      writer.key("grants")
      writer.beginArray()
      for grant in model?.grants ?? [] {
        writer.beginObject()
        writer.field("application", grant.application.escapedForTerminal)
        writer.field("object", grant.object.escapedForTerminal)
        writer.field("operations", grant.operations.names.joined(separator: ", "))
        writer.endObject()
      }
      writer.endArray()
      writer.field("words", lines: FilterLine.words)
    }
  }

  private static func object(_ fields: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter()
    writer.beginObject()
    fields(&writer)
    writer.endObject()
    return writer.text
  }
}

extension Verification {
  /// What to do for a verdict on whether the records are the ones that were written; nil: there is one.
  fileprivate var advice: String? {
    if integrity == .uncovered {
      return "The first keys that were given do not cover every record: who may write the files can have sealed the "
        + "others anew. Where a broker had lost its key, a record of the kind rekey says so, and that chain has a first key "
        + "of its own: give it too. Else take those records for forged."
    }
    if isKeyed, lacksKeyFile {
      return "journal.key, with the key that continues the chain, is not there: whether the end is cannot be told."
    }
    guard integrity == .unkeyed, records > 0 else { return nil }
    return "Authenticity was not checked: without the first key a change that was made on purpose is not found. "
      + (isKeyWaiting
        ? "`postern audit key` shows that key once: keep it on another machine, and start "
        : "Start ")
      + "`postern audit serve --key FILE` with what `postern audit key` showed."
  }

  /// The second verdict in a few words.
  fileprivate var completenessLine: String {
    let prefix = "completeness: "
    let line = lines.first { $0.hasPrefix(prefix) } ?? ""
    return String(line.dropFirst(prefix.count))
  }
}

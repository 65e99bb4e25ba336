import ArgumentParser
import Audit
import AuditAnalysis
import Instructions
import Linux

/// Which records are shown.
struct AuditFilterOptions: ParsableArguments {
  @OptionGroup var selectors: Selectors

  @Option(
    help: ArgumentHelp("Only this reason.", valueName: "reason"), completion: .list(Reason.allCases.map(\.name)),
    transform: ArgumentReading.reason)
  var reason: Reason?

  @Option(
    help: ArgumentHelp("Only refused, allowed, ended or other.", valueName: "verdict"),
    completion: .list(AuditVerdict.allCases.map(\.rawValue)), transform: ArgumentReading.verdict)
  var verdict: AuditVerdict?

  @Option(
    help: ArgumentHelp("Only this kind of record.", valueName: "kind"),
    completion: .list(AuditKind.allCases.map(\.name)), transform: ArgumentReading.kind)
  var kind: AuditKind?

  @Option(help: ArgumentHelp("Only this user, by name or number.", valueName: "user"))
  var user: String?

  @Option(
    help: ArgumentHelp("Only this program: its path, or its name alone.", valueName: "program"), completion: .file(),
    transform: ArgumentReading.name)
  var executable: String?

  @Option(
    help: ArgumentHelp("Only this path.", valueName: "path"), completion: .list(OperationPath.allCases.map(\.name)),
    transform: ArgumentReading.operationPath)
  var path: OperationPath?

  @Option(
    help: ArgumentHelp("Only this operation.", valueName: "operation"), completion: .list(Opcode.allCases.map(\.name)),
    transform: ArgumentReading.operation)
  var operation: Opcode?

  @Option(
    help: ArgumentHelp("From this time on: 2026-02-01T12:00:00Z, or how long ago: 15m.", valueName: "time"),
    transform: ArgumentReading.moment)
  var since: Moment?

  @Option(help: ArgumentHelp("Before this time.", valueName: "time"), transform: ArgumentReading.moment)
  var until: Moment?

  func filter(now: UInt64) throws(CommandFailure) -> AuditFilter {
    let uid = try user.map { (name) throws(CommandFailure) in try CanICommand.userID(name) }
    return AuditFilter(
      kind: kind, verdict: verdict, reason: reason, object: selectors.object.map { ByteString($0) },
      application: selectors.application.map { ByteString($0) }, pid: selectors.pid, uid: uid,
      executable: executable.map { ByteString($0) }, path: path, operation: operation,
      since: since?.nanoseconds(now: now), until: until?.nanoseconds(now: now))
  }

  /// The records that are wanted, from the broker.
  func source(_ session: Session) throws(CommandFailure) -> RecordSource {
    let wanted = try filter(now: session.surroundings.now)
    let source = RecordSource(session: session, broker: try session.connect(), filter: wanted)
    try source.demandOwn()
    return source
  }
}

/// How many records a listing has.
struct NewestOption: ParsableArguments {
  @Option(help: ArgumentHelp("Only the last so many.", valueName: "count"), transform: ArgumentReading.count)
  var newest: UInt32?
}

import ArgumentParser
import Audit
import Instructions

/// Which records are shown.
struct AuditFilterOptions: ParsableArguments {
  @OptionGroup var selectors: Selectors

  @Option(
    help: ArgumentHelp("Only this reason.", valueName: "reason"), completion: .list(Reason.allCases.map(\.name)),
    transform: ArgumentReading.reason)
  var reason: Reason?

  @Option(
    help: ArgumentHelp("From this time on: 2026-02-01T12:00:00Z, or how long ago: 15m.", valueName: "time"),
    transform: ArgumentReading.moment)
  var since: Moment?

  @Option(help: ArgumentHelp("Before this time.", valueName: "time"), transform: ArgumentReading.moment)
  var until: Moment?

  @Option(help: ArgumentHelp("Only the last so many.", valueName: "count"), transform: ArgumentReading.count)
  var newest: UInt32?

  func filter(now: UInt64) -> AuditFilter {
    AuditFilter(
      reason: reason, object: selectors.object.map { ByteString($0) },
      application: selectors.application.map { ByteString($0) }, pid: selectors.pid,
      since: since?.nanoseconds(now: now), until: until?.nanoseconds(now: now))
  }
}

import Audit
import Authority
import Instructions

/// What a record would be under another policy.
public enum Replayed: Sendable, Hashable {
  case same
  case nowAllowed
  /// Refused for this reason: it was allowed, or refused for another one.
  case nowRefused(Reason, RefusalDetail)
  /// The record does not carry enough, for this reason.
  case undecidable(String)

  /// A word for programs.
  public var name: String {
    switch self {
    case .same: "same"
    case .nowAllowed: "now-allowed"
    case .nowRefused: "now-refused"
    case .undecidable: "undecidable"
    }
  }
}

/// Judges a journal's records again under a policy, oldest first.
///
/// What is not the policy's (orders of administrators, what others held at that moment, whether a process still was what
/// it had been) is taken to have been as it was.
public struct Replay {
  public struct Summary: Sendable, Hashable {
    public var same: UInt64 = 0
    public var nowAllowed: UInt64 = 0
    public var nowRefused: UInt64 = 0
    public var undecidable: UInt64 = 0
    /// Those that are no verdicts: reloads, drops, starts.
    public var notJudged: UInt64 = 0

    public init(
      same: UInt64 = 0, nowAllowed: UInt64 = 0, nowRefused: UInt64 = 0, undecidable: UInt64 = 0, notJudged: UInt64 = 0
    ) {
      self.same = same
      self.nowAllowed = nowAllowed
      self.nowRefused = nowRefused
      self.undecidable = undecidable
      self.notJudged = notJudged
    }
  }

  /// A process's association with an object; a refusal of one that has ended does not name it.
  private struct Holding: Hashable {
    var boot: BootID
    var pid: UInt32
    var start: UInt64
    var object: ByteString

    init?(_ record: AuditRecord) {
      guard let pid = record.pid, let start = record.processStart, let object = record.object else { return nil }
      (boot, self.pid, self.start, self.object) = (record.boot, pid, start, object)
    }
  }

  private let evaluator: Evaluator
  public private(set) var summary = Summary()
  /// Since when, in boottime nanoseconds.
  private var held: [Holding: UInt64] = [:]

  public init(_ evaluator: Evaluator) { self.evaluator = evaluator }

  /// nil: the record is no verdict.
  public mutating func take(_ record: AuditRecord) -> Replayed? {
    guard let replayed = judge(record) else {
      summary.notJudged += 1
      return nil
    }
    switch replayed {
    case .same: summary.same += 1
    case .nowAllowed: summary.nowAllowed += 1
    case .nowRefused: summary.nowRefused += 1
    case .undecidable: summary.undecidable += 1
    }
    return replayed
  }

  private mutating func judge(_ record: AuditRecord) -> Replayed? {
    if record.isTruncated, [.grant, .revalidate, .use, .refusal].contains(record.kind) {
      return .undecidable("a text of the record was cut")
    }
    switch record.kind {
    case .grant, .revalidate:
      if let holding = Holding(record) { held[holding] = record.time.boottime }
      return allowed(evaluator.examine(record))
    case .use: return performed(record)
    case .refusal: return refused(record)
    case .drop:
      // What has expired is asked for after its end, until the process has ended.
      if record.cause == .exit || record.cause == .closed, let holding = Holding(record) { held[holding] = nil }
      return nil
    default: return nil
    }
  }

  /// Of what was allowed at the door.
  private func allowed(_ examination: Examination?) -> Replayed {
    guard let examination else { return .undecidable("the record does not say what the judge saw") }
    switch examination.judgement {
    case .authorized: return .same
    case .refused(let refusal): return .nowRefused(refusal.told.reason, refusal.told.detail)
    }
  }

  private func performed(_ record: AuditRecord) -> Replayed {
    switch evaluator.reason(of: record) {
    case .executed: .same
    case .refused(let reason): .nowRefused(reason, .none)
    case .noGrant: .nowRefused(.noSuchObject, .none)
    case .undecidable(let why): .undecidable(why)
    }
  }

  private func refused(_ record: AuditRecord) -> Replayed {
    guard let reason = record.reason else { return .same }
    guard record.circumstances != nil else {
      // What is not of the policy's making: an unreadable process, another's nonce, an order without the right to it.
      return record.operation == nil
        ? Self.isOfPolicy(reason) ? .undecidable("the record does not say what the judge saw") : .same
        : instruction(record, reason)
    }
    guard let examination = evaluator.examine(record) else {
      return .undecidable("the object's name in the record is not one that a policy can have")
    }
    switch examination.judgement {
    case .refused(let refusal):
      return refusal.told.reason == reason && refusal.told.detail == record.detail ?? .none
        ? .same : .nowRefused(refusal.told.reason, refusal.told.detail)
    case .authorized(let authorization): return behindTheJudge(record, reason, authorization)
    }
  }

  private static func isOfPolicy(_ reason: Reason) -> Bool { reason == .noSuchObject || reason == .operation }

  /// The policy would have authorized; whether what refused behind it goes on refusing.
  private func behindTheJudge(_ record: AuditRecord, _ reason: Reason, _ authorization: Authorization) -> Replayed {
    if case .standingRevoke? = record.circumstances?.cause { return .same }
    if record.circumstances?.cause != nil { return .nowAllowed }
    switch reason {
    case .busy:
      let object = evaluator.policy.objects.first { $0.name == authorization.object }
      return object.map { $0.isExclusive ? .same : .nowAllowed } ?? .same
    case .quota:
      return .undecidable("the record does not say how many there were")
    default: return .same
    }
  }

  /// Of a refused instruction on something held.
  private func instruction(_ record: AuditRecord, _ reason: Reason) -> Replayed {
    switch reason {
    case .operation, .limit:
      switch evaluator.reason(of: record) {
      case .executed: return .nowAllowed
      case .refused(let now): return now == reason ? .same : .nowRefused(now, .none)
      case .noGrant: return .nowRefused(.noSuchObject, .none)
      case .undecidable(let why): return .undecidable(why)
      }
    case .expired: return expired(record)
    case .quota:
      return .undecidable("the record does not say how many there were")
    default:
      // What an association is, not what a policy says; but without a grant there is none.
      if record.application != nil, evaluator.rule(of: record) == nil { return .nowRefused(.noSuchObject, .none) }
      return .same
    }
  }

  private func expired(_ record: AuditRecord) -> Replayed {
    guard let (rule, _, _) = evaluator.rule(of: record) else { return .nowRefused(.noSuchObject, .none) }
    guard let seconds = rule.expires else { return .nowAllowed }
    guard let since = Holding(record).flatMap({ held[$0] }) else {
      return .undecidable("the record of the association is not among those that were read")
    }
    let (span, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let end = since.addingReportingOverflow(span)
    return overflow || end.overflow || record.time.boottime < end.partialValue ? .nowAllowed : .same
  }
}

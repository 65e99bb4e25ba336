import Instructions

/// The policy's answer to an open or a revalidation, without quotas, busy objects and holders.
public enum Judgement: Sendable, Hashable {
  case authorized(Authorization)
  case refused(JudgedRefusal)
}

/// What an association may be made with.
public struct Authorization: Sendable, Hashable {
  public var application: String
  public var object: String
  /// What the association covers: the requested operations, or all that is granted and not made void by a limit.
  public var operations: OperationSet
  /// The object's, narrowed by the grant's; a disk without a range has none until the device is open.
  public var limits: LimitSet
  public var path: OperationPath
  /// The default of the door is filled in.
  public var onFork: ForkRule
  public var onExec: ExecRule
  /// Seconds from association; nil: never.
  public var expires: UInt64?
  /// Boottime nanoseconds at which a runtime grant that this rests on ends; nil: none does.
  public var endsAt: UInt64?
  /// The runtime grants that this rests on, beyond the policy's own grant; it ends with them and with a reload.
  public var runtimeGrants: [UInt64]
  /// The policy's entry, or what a runtime grant stands for where the policy has none.
  public var rule: GrantRule
  /// The grant's message, else the object's.
  public var message: String
  /// The application's.
  public var processes: UInt32
  public var requestsPerSecond: UInt32?

  /// The boottime at which an association made at `now` ends; nil: never, or beyond what 64 bits of nanoseconds hold.
  public func deadline(madeAt now: UInt64) -> UInt64? {
    var deadline = endsAt
    if let expires {
      let (span, tooLong) = expires.multipliedReportingOverflow(by: 1_000_000_000)
      let (end, tooLate) = now.addingReportingOverflow(span)
      if !tooLong, !tooLate { deadline = min(deadline ?? end, end) }
    }
    return deadline
  }
}

/// A refusal with what the asker is told and what administrators and the journal are told.
public struct JudgedRefusal: Error, Sendable, Hashable {
  /// For the asker.
  public var told: Refusal
  /// For administrators and the journal.
  public var cause: RefusalCause
  public var nearest: NearestGrant?

  public init(told: Refusal, cause: RefusalCause, nearest: NearestGrant? = nil) {
    self.told = told
    self.cause = cause
    self.nearest = nearest
  }
}

/// Why a request was refused, truly.
public enum RefusalCause: Sendable, Hashable {
  case unknownObject
  /// The object exists and no application has a grant for it.
  case noGrant
  /// No application with a grant for the object matches the asker; `JudgedRefusal.nearest` says which came closest.
  case noMatchingApplication
  /// A look-up failed: which.
  case unknownFact(String)
  /// By its id.
  case standingRevoke(UInt64)
  /// These of the requested operations are missing; empty where the grant comes to nothing.
  case operationsMissing(OperationSet)
  case namespaceRule
  case tracerRule
  case forkRule
  /// No path is left, for this reason.
  case pathRule(String)
  /// The grant says accepted: recall, which only the path direct can do, and why that is not possible.
  case recallRule(String)

  /// One clause for people, without a full stop.
  public var text: String {
    switch self {
    case .unknownObject: "the policy has no such object"
    case .noGrant: "no application has a grant for this object"
    case .noMatchingApplication: "no application with a grant for this object matches"
    case .unknownFact(let fact): "the asker's \(fact) could not be found out"
    case .standingRevoke(let id): "revoke \(id) stands until grant or reload"
    case .operationsMissing(let missing):
      missing.isEmpty ? "the grant comes to no operation" : "not granted: \(missing.names.joined(separator: ", "))"
    case .namespaceRule: "the asker is in another namespace than the policy names"
    case .tracerRule: "the asker has a tracer and the application is not traceable"
    case .forkRule: "on-fork: deny"
    case .pathRule(let why): why
    case .recallRule(let why): "accepted: recall needs the path direct: \(why)"
    }
  }
}

/// The application and grant that came closest to covering a request.
public struct NearestGrant: Sendable, Hashable {
  public var application: String
  /// Position in `PolicyModel.grants`; nil: a runtime grant only.
  public var grant: Int?
  /// The first key of the selector that did not match; nil: all matched.
  public var mismatch: SelectorKey?

  public init(application: String, grant: Int?, mismatch: SelectorKey?) {
    self.application = application
    self.grant = grant
    self.mismatch = mismatch
  }
}

/// The keys of an application's selector, in the order in which they are compared; the raw value is the policy's word.
public enum SelectorKey: String, CaseIterable, Sendable, Hashable {
  case user
  case group
  case executable
  case cgroup
}

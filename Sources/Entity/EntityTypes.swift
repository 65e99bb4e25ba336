import Authority
import Instructions
import Linux

public typealias ObjectRecord = EntityObject
public typealias AssociationRecord = EntityRecord
public typealias AssociationSelector = EntitySelector

/// A shared limit set's number.
public struct LimitsID: Sendable, Hashable, RawRepresentable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// Where a listing goes on.
public struct AssociationCursor: Sendable, Hashable {
  let slot: UInt32
}

/// Why associations are dropped: what their processes are told.
public enum TombstoneState: Sendable, Hashable {
  case revoked
  case expired
  case stale
  /// Told `not-associated`.
  case dropped

  var state: AssociationState {
    switch self {
    case .revoked: .revoked
    case .expired: .expired
    case .stale: .stale
    case .dropped: .dropped
    }
  }
}

/// A verdict and what decided it.
public struct Decision: ~Copyable, Sendable {
  private let decided: Verdict
  /// The record that decided, also of a refusal; nil: none, or the issuer is the kernel.
  public let association: AssociationID?

  init(_ verdict: consuming Verdict, association: AssociationID?) {
    decided = verdict
    self.association = association
  }

  /// Gives the verdict away.
  public consuming func verdict() -> Verdict { decided }
}

/// Look-ups that the caller could not do; any of them makes the request `undecidable`.
public struct FailedLookups: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let identity = FailedLookups(rawValue: 0x1)
  public static let object = FailedLookups(rawValue: 0x2)
  public static let association = FailedLookups(rawValue: 0x4)
  public static let limits = FailedLookups(rawValue: 0x8)
  public static let lineage = FailedLookups(rawValue: 0x10)
  public static let selector = FailedLookups(rawValue: 0x20)
  public static let quota = FailedLookups(rawValue: 0x40)
  /// The record of a grant cannot be queued.
  public static let audit = FailedLookups(rawValue: 0x80)
}

/// Conditions that the caller has found to hold. What is left out denies; exclusiveness and the application's quota
/// are found by the entity besides.
public struct Conditions: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// The asker may know that the object exists.
  public static let visible = Conditions(rawValue: 0x1)
  /// The application's selector matches the asker.
  public static let selector = Conditions(rawValue: 0x2)
  /// No standing revoke names the asker, its application or the object.
  public static let notRevoked = Conditions(rawValue: 0x4)
  public static let exclusive = Conditions(rawValue: 0x8)
  /// The asker's user may have one more request and object.
  public static let quota = Conditions(rawValue: 0x10)
  /// The demanded path exists.
  public static let path = Conditions(rawValue: 0x20)
  public static let namespace = Conditions(rawValue: 0x40)
  /// No tracer, or the policy allows one.
  public static let untraced = Conditions(rawValue: 0x80)
  public static let all = Conditions(rawValue: 0xff)
}

/// An open, as the broker has evaluated it.
public struct AssociationRequest: Sendable, Hashable {
  public var process: ProcessResource
  public var object: ObjectID
  public var application: ApplicationID
  /// The object's generation when the rest was found out; another one by now is `stale`.
  public var generation: UInt32
  /// What the asker wants.
  public var requested: OperationSet
  /// What the deciding grant covers; empty: no grant.
  public var granted: OperationSet
  /// nil: nothing that needs a limit is granted.
  public var limits: LimitsID?
  public var conditions: Conditions
  public var failed: FailedLookups
  /// The application's `processes`.
  public var processes: UInt32
  public var path: OperationPath
  public var onFork: ForkRule
  public var onExec: ExecRule
  /// Boottime ns; 0: never.
  public var expiry: UInt64
  /// What the path direct allows beyond operations.
  public var options: DirectOptions
  /// The policy's words, for a refusal.
  public var message: String

  public init(
    process: ProcessResource, object: ObjectID, application: ApplicationID, generation: UInt32,
    requested: OperationSet, granted: OperationSet, limits: LimitsID? = nil, conditions: Conditions = .all,
    failed: FailedLookups = [], processes: UInt32 = 64, path: OperationPath = .mediated,
    onFork: ForkRule = .revalidate, onExec: ExecRule = .drop, expiry: UInt64 = 0, options: DirectOptions = [],
    message: String = ""
  ) {
    self.process = process
    self.object = object
    self.application = application
    self.generation = generation
    self.requested = requested
    self.granted = granted
    self.limits = limits
    self.conditions = conditions
    self.failed = failed
    self.processes = processes
    self.path = path
    self.onFork = onFork
    self.onExec = onExec
    self.expiry = expiry
    self.options = options
    self.message = message
  }
}

/// How the asker of a revalidation relates to the holders named with it; the raw value is `enum postern_lineage`.
public enum Lineage: UInt8, Sendable, Hashable {
  case none = 0
  case descended = 1
  /// Fork events were lost: `undecidable`.
  case unknown = 2
}

/// A revalidation, as the broker has evaluated it.
public struct RevalidationRequest: Sendable, Hashable {
  public var process: ProcessResource
  public var object: ObjectID
  public var application: ApplicationID
  public var generation: UInt32
  /// Whom the asker descends from, nearest first; the first that has a record for the object speaks.
  public var ancestors: [ProcessResource]
  public var lineage: Lineage
  /// Boottime ns by which the asker's line had been forked off that holder; 0: unknown, and then only a holder that
  /// still lives counts. From a start time in ticks: the end of that tick.
  public var forked: UInt64
  public var conditions: Conditions
  public var failed: FailedLookups
  public var processes: UInt32
  public var path: OperationPath
  /// Boottime ns, 0: never; the ancestor's ends it earlier.
  public var expiry: UInt64
  /// What the path direct allows beyond operations.
  public var options: DirectOptions
  public var message: String

  public init(
    process: ProcessResource, object: ObjectID, application: ApplicationID, generation: UInt32,
    ancestors: [ProcessResource], lineage: Lineage, forked: UInt64 = 0, conditions: Conditions = .all,
    failed: FailedLookups = [], processes: UInt32 = 64, path: OperationPath = .mediated, expiry: UInt64 = 0,
    options: DirectOptions = [], message: String = ""
  ) {
    self.process = process
    self.object = object
    self.application = application
    self.generation = generation
    self.ancestors = ancestors
    self.lineage = lineage
    self.forked = forked
    self.conditions = conditions
    self.failed = failed
    self.processes = processes
    self.path = path
    self.expiry = expiry
    self.options = options
    self.message = message
  }
}

/// What an application has, as quotas see it.
public struct ApplicationCount: Sendable, Hashable {
  /// Process resources with at least one live association.
  public var processes: Int
  public var live: Int
}

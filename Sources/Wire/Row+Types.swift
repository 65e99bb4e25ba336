import Instructions

/// One fact about the running broker.
public struct StatusRow: Row {
  public var key: String
  public var value: String

  public init(key: String, value: String) {
    self.key = key
    self.value = value
  }
}

/// What trying a path or a kernel feature showed.
public struct DoctorRow: Row {
  public enum State: UInt8, CaseIterable, Sendable, Hashable {
    case works = 0
    case refused = 1
    case absent = 2
  }

  public var subject: String
  public var state: State
  public var why: String

  public init(subject: String, state: State, why: String) {
    self.subject = subject
    self.state = state
    self.why = why
  }
}

public struct ObjectRow: Row {
  public var object: ObjectID
  public var name: String
  public var kind: ObjectKind
  /// What the kind knows, or, for an asker who is no admin, what the asker's grants give.
  public var operations: OperationSet
  public var generation: UInt32
  /// Live associations.
  public var associations: UInt32
  /// As in the policy: `listen: tcp://…`, `path: …`.
  public var specification: String
  /// Empty: available; else why it cannot be opened.
  public var unavailable: String

  public init(
    object: ObjectID, name: String, kind: ObjectKind, operations: OperationSet, generation: UInt32,
    associations: UInt32, specification: String, unavailable: String = ""
  ) {
    self.object = object
    self.name = name
    self.kind = kind
    self.operations = operations
    self.generation = generation
    self.associations = associations
    self.specification = specification
    self.unavailable = unavailable
  }
}

public struct AssociationRow: Row {
  /// The raw value is that of `postern_abi.h`.
  public enum State: UInt8, CaseIterable, Sendable, Hashable {
    case live = 1
    case revoked = 2
    case expired = 3
    case stale = 4
    case dropped = 5
    case departed = 6
  }

  public var association: AssociationID
  public var object: String
  public var application: String
  public var process: ProcessResource
  public var path: OperationPath
  public var operations: OperationSet
  public var generation: UInt32
  /// Unix time, nanoseconds.
  public var since: UInt64
  /// Unix time, nanoseconds; 0: never.
  public var expiry: UInt64
  public var state: State

  public init(
    association: AssociationID, object: String, application: String, process: ProcessResource, path: OperationPath,
    operations: OperationSet, generation: UInt32, since: UInt64, expiry: UInt64, state: State
  ) {
    self.association = association
    self.object = object
    self.application = application
    self.process = process
    self.path = path
    self.operations = operations
    self.generation = generation
    self.since = since
    self.expiry = expiry
    self.state = state
  }
}

/// What became of one association that a revoke named.
public struct RevocationRow: Row {
  public enum Outcome: Sendable, Hashable {
    case recalled
    /// Recalled, so many operations still running; at least 1.
    case running(UInt32)
    case cannotRecall(why: String)
  }

  public var association: AssociationID
  public var object: String
  public var application: String
  public var pid: UInt32
  public var path: OperationPath
  public var outcome: Outcome

  public init(
    association: AssociationID, object: String, application: String, pid: UInt32, path: OperationPath,
    outcome: Outcome
  ) {
    self.association = association
    self.object = object
    self.application = application
    self.pid = pid
    self.path = path
    self.outcome = outcome
  }
}

/// A mistake in the policy that a reload found.
public struct MistakeRow: Row {
  public enum Severity: UInt8, CaseIterable, Sendable, Hashable {
    case error = 0
    case warning = 1
  }

  public var file: String
  /// From 1; 0: the file as a whole.
  public var line: UInt32
  /// From 1; 0: the line as a whole.
  public var column: UInt32
  public var severity: Severity
  public var text: String

  public init(file: String, line: UInt32, column: UInt32, severity: Severity, text: String) {
    self.file = file
    self.line = line
    self.column = column
    self.severity = severity
    self.text = text
  }
}

/// One record of the journal, in the journal's own encoding.
public struct AuditRow: Row {
  public var bytes: [UInt8]

  public init(bytes: [UInt8]) { self.bytes = bytes }
}

/// One object as `postern run` and `postern open` would get it.
public struct PlanRow: Row {
  public var object: String
  public var kind: ObjectKind
  /// As in the policy: `listen: tcp://…`, `path: …`.
  public var specification: String
  /// Whose grant decides; empty where none may be named.
  public var application: String
  public var operations: OperationSet
  /// What the program will hold.
  public var path: OperationPath
  /// The calls that have to be notified for it.
  public var calls: NotifiedCalls
  /// The executable that the grant is for, matched when the program asks; empty: any.
  public var executable: String
  /// nil: granted, as far as can be told before the program asks.
  public var refusal: Reason?
  /// Refused: why, and what would help. Granted: what the path does not enforce; may be empty.
  public var why: String

  public init(
    object: String, kind: ObjectKind, specification: String, application: String, operations: OperationSet,
    path: OperationPath, calls: NotifiedCalls, executable: String = "", refusal: Reason? = nil, why: String = ""
  ) {
    self.object = object
    self.kind = kind
    self.specification = specification
    self.application = application
    self.operations = operations
    self.path = path
    self.calls = calls
    self.executable = executable
    self.refusal = refusal
    self.why = why
  }
}

import Instructions

public struct Hello: Sendable, Hashable {
  /// The newest protocol version that the client speaks.
  public var version: UInt16
  /// Name and version of the client, for status and journal.
  public var client: String

  public init(version: UInt16 = ControlHeader.version, client: String) {
    self.version = version
    self.client = client
  }
}

public struct Open: Sendable, Hashable {
  public var object: String
  /// Empty: all that the grant gives.
  public var operations: OperationSet
  /// nil: any.
  public var path: OperationPath?
  /// What `path` nil may choose besides mediated, because this client can work with it.
  public var accepts: PathSet

  /// Paths that `accepts` can name: mediated needs no saying, and handover is never chosen without being asked for.
  public static let choices: PathSet = [.ring, .direct]

  public init(object: String, operations: OperationSet = [], path: OperationPath? = nil, accepts: PathSet = []) {
    self.object = object
    self.operations = operations
    self.path = path
    self.accepts = accepts
  }
}

/// 16 random bytes that tie the second message of an open or a revalidation to the first.
public struct Nonce: Sendable, Hashable {
  public var low: UInt64
  public var high: UInt64

  public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }
}

/// The ring that an application wants an object in.
public struct Enrol: Sendable, Hashable {
  /// Of the `ringWanted`.
  public var nonce: Nonce
  /// The ring's descriptor in the application.
  public var ring: UInt32

  public init(nonce: Nonce, ring: UInt32) {
    self.nonce = nonce
    self.ring = ring
  }
}

public struct ObjectQuery: Sendable, Hashable {
  /// Exactly this one; empty: all.
  public var name: String
  /// 0 or the `next` of the page before.
  public var cursor: UInt64

  public init(name: String = "", cursor: UInt64 = 0) {
    self.name = name
    self.cursor = cursor
  }
}

public struct AssociationQuery: Sendable, Hashable {
  /// Empty: any.
  public var object: String
  /// Empty: any.
  public var application: String
  /// 0: any.
  public var pid: UInt32
  /// 0 or the `next` of the page before.
  public var cursor: UInt64

  public init(object: String = "", application: String = "", pid: UInt32 = 0, cursor: UInt64 = 0) {
    self.object = object
    self.application = application
    self.pid = pid
    self.cursor = cursor
  }
}

public struct CanI: Sendable, Hashable {
  public var operations: OperationSet
  public var object: String
  /// nil: the asker's own.
  public var uid: UInt32?
  /// Absolute path; empty: the asker's own.
  public var executable: String

  public init(operations: OperationSet, object: String, uid: UInt32? = nil, executable: String = "") {
    self.operations = operations
    self.object = object
    self.uid = uid
    self.executable = executable
  }
}

/// Every selector that is given must match.
public struct Revoke: Sendable, Hashable {
  /// Empty: any.
  public var object: String
  /// Empty: any.
  public var application: String
  /// 0: any.
  public var pid: UInt32
  /// nil: any.
  public var association: AssociationID?
  /// Said on purpose: no selector needed.
  public var all: Bool
  /// Milliseconds to wait for what is running.
  public var timeout: UInt32

  public init(
    object: String = "", application: String = "", pid: UInt32 = 0, association: AssociationID? = nil,
    all: Bool = false, timeout: UInt32 = 1000
  ) {
    self.object = object
    self.application = application
    self.pid = pid
    self.association = association
    self.all = all
    self.timeout = timeout
  }
}

/// `postern grant`: operations added until the next reload.
public struct GrantOrder: Sendable, Hashable {
  public var application: String
  public var object: String
  public var operations: OperationSet
  /// Seconds from now; 0: until the next reload.
  public var expires: UInt64

  public init(application: String, object: String, operations: OperationSet, expires: UInt64 = 0) {
    self.application = application
    self.object = object
    self.operations = operations
    self.expires = expires
  }
}

public struct AuditRead: Sendable, Hashable {
  public enum Mode: UInt8, CaseIterable, Sendable, Hashable {
    /// What is there after `after`, oldest first.
    case after = 0
    /// The newest `limit` records, oldest first; `after` is 0.
    case newest = 1
    /// As `after`, but the answer waits until there is a record.
    case follow = 2
  }

  public var mode: Mode
  /// A sequence number; 0: from the first.
  public var after: UInt64
  /// Records at most; 0: as many as fit.
  public var limit: UInt32

  public init(mode: Mode = .after, after: UInt64 = 0, limit: UInt32 = 0) {
    self.mode = mode
    self.after = after
    self.limit = limit
  }
}

/// Asks what `postern run` would get.
public struct PlanQuery: Sendable, Hashable {
  /// Exactly this object; empty: every object of which the asker's user has a grant.
  public var object: String
  /// 0 or the `next` of the page before.
  public var cursor: UInt64

  public init(object: String = "", cursor: UInt64 = 0) {
    self.object = object
    self.cursor = cursor
  }
}

/// Asks for an object's own descriptor, to be kept through an exec: `postern open`.
public struct HandOver: Sendable, Hashable {
  public var object: String
  /// Empty: all that the grant gives.
  public var operations: OperationSet

  public init(object: String, operations: OperationSet = []) {
    self.object = object
    self.operations = operations
  }
}

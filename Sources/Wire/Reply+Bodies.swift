import Instructions

/// A denial as the asker is told it.
public struct RefusedReply: Sendable, Hashable {
  public var refusal: Refusal
  /// What the application's call fails with: the reason's errno.
  public var errno: Int32

  public init(_ refusal: Refusal, errno: Int32) {
    self.refusal = refusal
    self.errno = errno
  }

  public init(_ refusal: Refusal) { self.init(refusal, errno: refusal.reason.errno) }
}

/// Allowed but failed, or a request that makes no sense here.
public struct Failure: Sendable, Hashable {
  /// Positive.
  public var errno: Int32
  /// What was tried, for people.
  public var text: String

  public init(errno: Int32, text: String) {
    self.errno = errno
    self.text = text
  }
}

/// What this broker offers; the bits are wire format.
public struct Features: OptionSet, Sendable, Hashable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let mediated = Features(rawValue: 0x1)
  public static let ring = Features(rawValue: 0x2)
  public static let direct = Features(rawValue: 0x4)
  public static let handover = Features(rawValue: 0x8)

  static let defined: UInt64 = 0xF
}

public struct Welcome: Sendable, Hashable {
  /// What both speak from here on.
  public var version: UInt16
  /// The broker's release.
  public var broker: String
  public var features: Features
  /// The asker may administer the broker.
  public var admin: Bool

  public init(version: UInt16 = ControlHeader.version, broker: String, features: Features, admin: Bool) {
    self.version = version
    self.broker = broker
    self.features = features
    self.admin = admin
  }
}

public struct Opened: Sendable, Hashable {
  public var association: AssociationID
  /// For `revalidate`; 0 where the object's own descriptor is attached (direct and handover).
  public var channel: UInt64
  public var object: ObjectID
  public var kind: ObjectKind
  public var path: OperationPath
  public var operations: OperationSet
  public var generation: UInt32
  /// Boottime nanoseconds; 0: never.
  public var expiry: UInt64
  /// Bytes; 0: the object has no length.
  public var rangeLength: UInt64
  /// Bytes of payload that one datagram on the channel may carry.
  public var maximumPayload: UInt32

  public init(
    association: AssociationID, channel: UInt64, object: ObjectID, kind: ObjectKind, path: OperationPath,
    operations: OperationSet, generation: UInt32, expiry: UInt64, rangeLength: UInt64,
    maximumPayload: UInt32 = UInt32(Bounds.payload)
  ) {
    self.association = association
    self.channel = channel
    self.object = object
    self.kind = kind
    self.path = path
    self.operations = operations
    self.generation = generation
    self.expiry = expiry
    self.rangeLength = rangeLength
    self.maximumPayload = maximumPayload
  }
}

/// An object in a slot of the application's ring.
public struct Enrolled: Sendable, Hashable {
  public var association: AssociationID
  public var object: ObjectID
  public var kind: ObjectKind
  /// The object's; every request names it with IOSQE_FIXED_FILE.
  public var slot: UInt32
  public var operations: OperationSet
  public var generation: UInt32
  /// Boottime nanoseconds; 0: never.
  public var expiry: UInt64
  /// Bytes; 0: the object has no length.
  public var rangeLength: UInt64
  /// Bit N: the ring takes IORING_OP number N, where the kernel has it.
  public var opcodes: UInt64
  /// The broker's number of this ring, for `release`; never 0.
  public var ring: UInt64

  public init(
    association: AssociationID, object: ObjectID, kind: ObjectKind, slot: UInt32, operations: OperationSet,
    generation: UInt32, expiry: UInt64, rangeLength: UInt64, opcodes: UInt64, ring: UInt64
  ) {
    self.association = association
    self.object = object
    self.kind = kind
    self.slot = slot
    self.operations = operations
    self.generation = generation
    self.expiry = expiry
    self.rangeLength = rangeLength
    self.opcodes = opcodes
    self.ring = ring
  }
}

/// A channel of one's own, without an association.
public struct Adopted: Sendable, Hashable {
  /// For `revalidate`.
  public var channel: UInt64
  public var object: ObjectID
  public var kind: ObjectKind
  public var path: OperationPath
  /// Of the channel that was presented.
  public var operations: OperationSet
  public var generation: UInt32
  /// Bytes; 0: the object has no length.
  public var rangeLength: UInt64
  /// Bytes of payload that one datagram on the channel may carry.
  public var maximumPayload: UInt32

  public init(
    channel: UInt64, object: ObjectID, kind: ObjectKind, path: OperationPath, operations: OperationSet,
    generation: UInt32, rangeLength: UInt64, maximumPayload: UInt32 = UInt32(Bounds.payload)
  ) {
    self.channel = channel
    self.object = object
    self.kind = kind
    self.path = path
    self.operations = operations
    self.generation = generation
    self.rangeLength = rangeLength
    self.maximumPayload = maximumPayload
  }
}

public struct Revalidated: Sendable, Hashable {
  public var association: AssociationID
  public var operations: OperationSet
  public var generation: UInt32
  /// Boottime nanoseconds; 0: never.
  public var expiry: UInt64

  public init(association: AssociationID, operations: OperationSet, generation: UInt32, expiry: UInt64) {
    self.association = association
    self.operations = operations
    self.generation = generation
    self.expiry = expiry
  }
}

/// The answer to `canI`: what an open would say.
public struct CanIVerdict: Sendable, Hashable {
  /// nil: allowed.
  public var reason: Reason?
  public var detail: RefusalDetail
  /// 0 when allowed.
  public var errno: Int32
  /// Empty: none matches.
  public var application: String
  public var object: String
  public var operations: OperationSet
  /// nil when refused before a path was chosen.
  public var path: OperationPath?
  /// The policy's.
  public var message: String

  public var allowed: Bool { reason == nil }

  public init(
    reason: Reason?, detail: RefusalDetail = .none, errno: Int32, application: String, object: String,
    operations: OperationSet, path: OperationPath?, message: String = ""
  ) {
    self.reason = reason
    self.detail = detail
    self.errno = errno
    self.application = application
    self.object = object
    self.operations = operations
    self.path = path
    self.message = message
  }
}

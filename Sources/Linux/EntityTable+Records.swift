import Instructions
import KernelEntity

/// What has become of an association; the raw value is the code of `postern_abi.h`.
public enum AssociationState: UInt8, CaseIterable, Sendable, Hashable {
  case live = 1
  case revoked = 2
  case expired = 3
  case stale = 4
  /// A reload or the end of a runtime grant: told `not-associated`.
  case dropped = 5
  /// The holder has ended; proves descent, never authorizes.
  case departed = 6

  public var name: String {
    switch self {
    case .live: "live"
    case .revoked: "revoked"
    case .expired: "expired"
    case .stale: "stale"
    case .dropped: "dropped"
    case .departed: "departed"
    }
  }
}

/// An association or tombstone, copied out of the table. Times are boottime nanoseconds.
public struct EntityRecord: Sendable, Hashable {
  public var id: AssociationID
  /// The association it was derived from by revalidation.
  public var ancestor: AssociationID?
  public var process: ProcessResource
  public var object: ObjectID
  public var application: ApplicationID
  public var operations: OperationSet
  /// The object's, when the association was made.
  public var generation: UInt32
  public var state: AssociationState
  public var path: OperationPath
  /// `enum postern_on_fork`
  public var onFork: UInt8
  /// on-exec: keep
  public var keepsOnExec: Bool
  /// The process has ended; the record is evidence for its descendants.
  public var departed: Bool
  /// 0: never.
  public var expiry: UInt64
  public var since: UInt64
  /// 0: none.
  public var limits: UInt32

  init(_ info: postern_association_info) {
    let record = info.record
    id = AssociationID(rawValue: info.id)
    ancestor = info.ancestor == 0 ? nil : AssociationID(rawValue: info.ancestor)
    process = ProcessResource(record.process)
    object = ObjectID(rawValue: record.object)
    application = ApplicationID(rawValue: record.application)
    operations = OperationSet(rawValue: record.operations)
    generation = record.generation
    state = AssociationState(rawValue: record.state) ?? .dropped
    path = OperationPath(rawValue: record.path) ?? .mediated
    onFork = record.on_fork
    keepsOnExec = UInt32(record.flags) & UInt32(POSTERN_ASSOCIATION_KEEP) != 0
    departed = UInt32(record.flags) & UInt32(POSTERN_ASSOCIATION_DEPARTED) != 0
    expiry = record.expiry
    since = record.since
    limits = record.limits
  }
}

/// An object as the table knows it.
public struct EntityObject: Sendable, Hashable {
  public var id: ObjectID
  public var kind: ObjectKind
  /// What the object knows at all; nothing else is ever granted on it.
  public var operations: OperationSet
  public var exclusive: Bool
  /// nil: nothing to compare with other objects.
  public var footprint: EntityFootprint?

  public init(
    id: ObjectID, kind: ObjectKind, operations: OperationSet, exclusive: Bool = false,
    footprint: EntityFootprint? = nil
  ) {
    self.id = id
    self.kind = kind
    self.operations = operations
    self.exclusive = exclusive
    self.footprint = footprint
  }

  init?(_ object: postern_object) {
    guard let kind = ObjectKind(rawValue: object.kind) else { return nil }
    let footprint = EntityFootprint(
      device: object.device, inode: object.inode, offset: object.range_offset, length: object.range_length)
    self.init(
      id: ObjectID(rawValue: object.id), kind: kind, operations: OperationSet(rawValue: object.operations),
      exclusive: object.exclusive != 0,
      footprint: UInt32(object.flags) & UInt32(POSTERN_OBJECT_FOOTPRINT) != 0 ? footprint : nil)
  }

  var record: postern_object {
    var object = postern_object()
    object.id = id.rawValue
    object.kind = kind.rawValue
    object.operations = operations.rawValue
    object.exclusive = exclusive ? 1 : 0
    if let footprint {
      object.flags = UInt8(POSTERN_OBJECT_FOOTPRINT)
      object.device = footprint.device
      object.inode = footprint.inode
      object.range_offset = footprint.offset
      object.range_length = footprint.length
    }
    return object
  }
}

/// The bytes of a device or file that an object covers; a whole one is 0 and `UInt64.max`.
public struct EntityFootprint: Sendable, Hashable {
  public var device: UInt64
  public var inode: UInt64
  public var offset: UInt64
  public var length: UInt64

  public init(device: UInt64, inode: UInt64, offset: UInt64 = 0, length: UInt64 = .max) {
    self.device = device
    self.inode = inode
    self.offset = offset
    self.length = length
  }
}

/// Which associations; all that is given must agree, nothing given is all.
public struct EntitySelector: Sendable, Hashable {
  public var object: ObjectID?
  public var process: ProcessResource?
  public var application: ApplicationID?
  public var association: AssociationID?
  /// Empty: every state.
  public var states: Set<AssociationState>

  public init(
    object: ObjectID? = nil, process: ProcessResource? = nil, application: ApplicationID? = nil,
    association: AssociationID? = nil, states: Set<AssociationState> = []
  ) {
    self.object = object
    self.process = process
    self.application = application
    self.association = association
    self.states = states
  }

  var record: postern_selector {
    var selector = postern_selector()
    if let object {
      selector.fields |= UInt32(POSTERN_SELECT_OBJECT)
      selector.object = object.rawValue
    }
    if let process {
      selector.fields |= UInt32(POSTERN_SELECT_PROCESS)
      selector.process = postern_process(process)
    }
    if let application {
      selector.fields |= UInt32(POSTERN_SELECT_APPLICATION)
      selector.application = application.rawValue
    }
    if let association {
      selector.fields |= UInt32(POSTERN_SELECT_ID)
      selector.id = association.rawValue
    }
    for state in states { selector.states |= 1 << UInt32(state.rawValue) }
    return selector
  }
}

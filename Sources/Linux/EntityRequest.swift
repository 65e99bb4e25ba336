import Instructions
import KernelEntity

/// What an open or a revalidation asks of the table. Bit sets are those of `postern_abi.h`.
public struct EntityRequest: Sendable {
  public var process: ProcessResource
  public var object: ObjectID
  public var application: ApplicationID
  /// POSTERN_LOOKUP_*
  public var failed: UInt32 = 0
  /// POSTERN_CONDITION_*
  public var conditions: UInt32 = 0
  public var requested: OperationSet = []
  public var granted: OperationSet = []
  public var generation: UInt32
  public var limits: UInt32 = 0
  public var quota: UInt32
  public var now: UInt64
  public var expiry: UInt64
  public var forked: UInt64 = 0
  public var ancestor: ProcessResource?
  /// `enum postern_lineage`
  public var lineage: UInt8 = 0
  public var path: OperationPath
  /// `enum postern_on_fork`
  public var onFork: UInt8 = 0
  public var keepsOnExec = false

  public init(
    process: ProcessResource, object: ObjectID, application: ApplicationID, generation: UInt32, quota: UInt32,
    now: UInt64, expiry: UInt64, path: OperationPath
  ) {
    self.process = process
    self.object = object
    self.application = application
    self.generation = generation
    self.quota = quota
    self.now = now
    self.expiry = expiry
    self.path = path
  }

  var record: postern_associate_arguments {
    var arguments = postern_associate_arguments()
    arguments.process = postern_process(process)
    arguments.object = object.rawValue
    arguments.application = application.rawValue
    arguments.failed = failed
    arguments.conditions = conditions
    arguments.requested = requested.rawValue
    arguments.granted = granted.rawValue
    arguments.generation = generation
    arguments.limits = limits
    arguments.quota = quota
    arguments.now = now
    arguments.expiry = expiry
    arguments.forked = forked
    if let ancestor { arguments.ancestor = postern_process(ancestor) }
    arguments.lineage = lineage
    arguments.path = path.rawValue
    arguments.on_fork = onFork
    arguments.flags = keepsOnExec ? UInt8(POSTERN_ASSOCIATION_KEEP) : 0
    return arguments
  }
}

/// What the table says of an open or a revalidation.
public struct EntityEstablished: Sendable, Hashable {
  /// nil: granted; `record` is the association.
  public var reason: Reason?
  public var detail: RefusalDetail
  /// The process had it already.
  public var existing: Bool
  /// The new association, or the asker's tombstone, if any.
  public var record: EntityRecord?
}

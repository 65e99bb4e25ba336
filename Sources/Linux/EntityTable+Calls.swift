import Glibc
import Instructions
import KernelEntity

/// What the table says of one instruction.
public struct EntityAnswer: Sendable, Hashable {
  /// nil: granted.
  public var reason: Reason?
  /// The record that decided, also of a refusal.
  public var association: AssociationID?
  public var generation: UInt32
  /// Of a grant: boottime ns, 0: never.
  public var expiry: UInt64
  public var range: EntityRange?
}

public struct EntityRange: Sendable, Hashable {
  public var offset: UInt64
  public var length: UInt64
}

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

public struct EntityStatistics: Sendable, Hashable {
  public var live: Int
  public var tombstones: Int
  public var processes: Int
  public var limits: Int
  public var capacity: Int
  /// Memory in use by records, links and indexes.
  public var bytes: UInt64
  /// Grows whenever a positive verdict given before may no longer stand.
  public var changes: UInt64
}

extension EntityTable {
  /// Checks one instruction. `failed` (POSTERN_LOOKUP_*) tells of look-ups that the caller could not do.
  public borrowing func check(
    _ instruction: Instruction, issuer: Issuer, now: UInt64, visible: Bool, failed: UInt32
  ) -> EntityAnswer {
    var arguments = postern_check_arguments()
    arguments.now = now
    arguments.failed = failed
    arguments.conditions = visible ? UInt32(POSTERN_CONDITION_VISIBLE) : 0
    arguments.instruction.opcode = UInt32(instruction.opcode.rawValue)
    arguments.instruction.object = instruction.object.rawValue
    switch issuer {
    case .kernel: arguments.instruction.issuer = POSTERN_ISSUER_KERNEL.rawValue
    case .process(let process):
      arguments.instruction.issuer = POSTERN_ISSUER_PROCESS.rawValue
      arguments.instruction.process = postern_process(process)
    }
    arguments.instruction.operands = postern_operands(instruction.operands)
    let result = callCheck(&arguments)
    guard result == 0 else { return EntityAnswer(reason: .undecidable, generation: 0, expiry: 0) }
    return EntityAnswer(
      reason: reason(arguments.reason),
      association: arguments.association == 0 ? nil : AssociationID(rawValue: arguments.association),
      generation: arguments.generation, expiry: arguments.expiry,
      range: arguments.has_range == 0
        ? nil : EntityRange(offset: arguments.range_offset, length: arguments.range_length))
  }

  public borrowing func associate(_ request: EntityRequest) -> EntityEstablished {
    establish(POSTERN_ENTITY_ASSOCIATE, request)
  }

  public borrowing func revalidate(_ request: EntityRequest) -> EntityEstablished {
    establish(POSTERN_ENTITY_REVALIDATE, request)
  }

  private borrowing func establish(_ call: postern_entity_request, _ request: EntityRequest) -> EntityEstablished {
    var arguments = request.record
    guard self.call(call, &arguments) == 0 else {
      return EntityEstablished(reason: .undecidable, detail: .none, existing: false)
    }
    return EntityEstablished(
      reason: reason(arguments.reason), detail: RefusalDetail(rawValue: UInt16(arguments.detail)) ?? .none,
      existing: arguments.existing != 0,
      record: arguments.association.id == 0 ? nil : EntityRecord(arguments.association))
  }

  /// nil for granted; a code that this build does not know is a denial.
  private borrowing func reason(_ code: UInt32) -> Reason? {
    code == POSTERN_REASON_GRANTED.rawValue ? nil : Reason(rawValue: UInt16(truncatingIfNeeded: code)) ?? .undecidable
  }

  /// The object's generation. Errors: EEXIST, EINVAL (number out of range).
  public borrowing func add(_ object: EntityObject) throws(SystemError) -> UInt32 {
    // SAFETY: a trivial struct of ours without pointers; the entity reads and writes only it.
    var arguments = unsafe postern_object_arguments()
    unsafe arguments.object = object.record
    let result = unsafe call(POSTERN_ENTITY_ADD_OBJECT, &arguments)
    guard result == 0 else { throw SystemError(errno: -result, operation: "add object") }
    return unsafe arguments.object.generation
  }

  /// Next generation; every association of the object becomes `stale`, and those that were live are returned.
  public borrowing func replace(_ object: EntityObject) throws(SystemError) -> [EntityRecord] {
    try end(POSTERN_ENTITY_REPLACE_OBJECT, object.record)
  }

  /// The object is gone (`no-such-object`); the associations that were live are returned.
  public borrowing func remove(_ object: ObjectID) throws(SystemError) -> [EntityRecord] {
    var record = postern_object()
    record.id = object.rawValue
    return try end(POSTERN_ENTITY_REMOVE_OBJECT, record)
  }

  private borrowing func end(_ request: postern_entity_request, _ object: postern_object) throws(SystemError)
    -> [EntityRecord]
  {
    // SAFETY: `room` outlives the call, and its capacity goes with it.
    unsafe try collect("end object") { room in
      var arguments = unsafe postern_object_arguments()
      unsafe arguments.object = object
      unsafe arguments.dropped = room.baseAddress
      unsafe arguments.capacity = UInt32(room.count)
      let result = unsafe call(request, &arguments)
      return (result, unsafe arguments.count)
    }
  }

  /// The object's generation, or nil where there is no such object.
  public borrowing func generation(of object: ObjectID) -> UInt32? {
    // SAFETY: a trivial struct of ours without pointers; the entity reads and writes only it.
    var arguments = unsafe postern_object_arguments()
    unsafe arguments.object.id = object.rawValue
    guard unsafe call(POSTERN_ENTITY_OBJECT, &arguments) == 0 else { return nil }
    return unsafe arguments.object.generation
  }

  /// The object as it was added or replaced, or nil.
  public borrowing func object(_ object: ObjectID) -> EntityObject? {
    // SAFETY: a trivial struct of ours without pointers; the entity reads and writes only it.
    var arguments = unsafe postern_object_arguments()
    unsafe arguments.object.id = object.rawValue
    guard unsafe call(POSTERN_ENTITY_OBJECT, &arguments) == 0 else { return nil }
    return unsafe EntityObject(arguments.object)
  }

  /// A limit set's number, with one reference held by the caller. Errors: E2BIG, ENOSPC.
  public borrowing func define(_ limits: EntityLimits) throws(SystemError) -> UInt32 {
    var arguments = postern_limits_arguments()
    guard let record = limits.record else { throw SystemError(errno: E2BIG, operation: "define limits") }
    arguments.limits = record
    let result = call(POSTERN_ENTITY_DEFINE_LIMITS, &arguments)
    guard result == 0 else { throw SystemError(errno: -result, operation: "define limits") }
    return arguments.index
  }

  /// Gives the caller's reference back; the set stays while associations name it. Errors: ENOENT.
  public borrowing func release(limits index: UInt32) throws(SystemError) {
    var arguments = postern_limits_arguments()
    arguments.index = index
    let result = call(POSTERN_ENTITY_RELEASE_LIMITS, &arguments)
    guard result == 0 else { throw SystemError(errno: -result, operation: "release limits") }
  }

  /// Selected associations become tombstones of `state`; those that were live are returned as they were.
  public borrowing func drop(_ selector: EntitySelector, as state: AssociationState) throws(SystemError)
    -> [EntityRecord]
  {
    try drop(POSTERN_ENTITY_DROP, selector, state: state, now: 0).dropped
  }

  /// Selected `revoked` tombstones become `dropped`: their processes may ask again.
  public borrowing func pardon(_ selector: EntitySelector) throws(SystemError) {
    _ = try drop(POSTERN_ENTITY_PARDON, selector, state: .dropped, now: 0)
  }

  /// Everything past its expiry becomes `expired`; also the earliest expiry that is left, nil: none.
  public borrowing func expire(now: UInt64) throws(SystemError) -> (dropped: [EntityRecord], next: UInt64?) {
    try drop(POSTERN_ENTITY_EXPIRE, EntitySelector(), state: .expired, now: now)
  }

  private borrowing func drop(
    _ request: postern_entity_request, _ selector: EntitySelector, state: AssociationState, now: UInt64
  ) throws(SystemError) -> (dropped: [EntityRecord], next: UInt64?) {
    var next: UInt64 = 0
    // SAFETY: `room` outlives the call, and its capacity goes with it.
    let dropped = unsafe try collect("drop associations") { room in
      var arguments = unsafe postern_drop_arguments()
      unsafe arguments.selector = selector.record
      unsafe arguments.state = UInt32(state.rawValue)
      unsafe arguments.now = now
      unsafe arguments.dropped = room.baseAddress
      unsafe arguments.capacity = UInt32(room.count)
      let result = unsafe call(request, &arguments)
      unsafe next = arguments.next_expiry
      return (result, unsafe arguments.count)
    }
    return (dropped, next == 0 ? nil : next)
  }

  /// The process has ended; those that were live are returned.
  public borrowing func exit(_ process: ProcessResource, keepEvidence: Bool) throws(SystemError) -> [EntityRecord] {
    // SAFETY: `room` outlives the call, and its capacity goes with it.
    unsafe try collect("end process") { room in
      var arguments = unsafe postern_process_arguments()
      unsafe arguments.process = postern_process(process)
      unsafe arguments.evidence = keepEvidence ? 1 : 0
      unsafe arguments.dropped = room.baseAddress
      unsafe arguments.capacity = UInt32(room.count)
      let result = unsafe call(POSTERN_ENTITY_EXIT, &arguments)
      return (result, unsafe arguments.count)
    }
  }

  /// The process has a new program image; those that were live and are not kept are returned.
  public borrowing func exec(
    _ process: ProcessResource, newEpoch: UInt32, keep: [AssociationID], keepEvidence: Bool
  ) throws(SystemError) -> [EntityRecord] {
    let kept = keep.map(\.rawValue)
    // SAFETY: `room` and `kept` outlive the call, and their sizes go with them.
    return unsafe try collect("exec") { room in
      unsafe kept.withUnsafeBufferPointer { list in
        var arguments = unsafe postern_process_arguments()
        unsafe arguments.process = postern_process(process)
        unsafe arguments.exec_epoch = newEpoch
        unsafe arguments.evidence = keepEvidence ? 1 : 0
        unsafe arguments.kept = list.baseAddress
        unsafe arguments.kept_count = UInt32(list.count)
        unsafe arguments.dropped = room.baseAddress
        unsafe arguments.capacity = UInt32(room.count)
        let result = unsafe call(POSTERN_ENTITY_EXEC, &arguments)
        return (result, unsafe arguments.count)
      }
    }
  }

  /// Up to `limit` associations from `cursor` (0 to begin); the next cursor, nil at the end.
  public borrowing func list(_ selector: EntitySelector, cursor: UInt32, limit: Int) throws(SystemError)
    -> (records: [EntityRecord], next: UInt32?)
  {
    var next: UInt32 = 0
    let room = UnsafeMutableBufferPointer<postern_association_info>.allocate(capacity: max(limit, 1))
    // SAFETY: allocated just above, freed once; the struct is trivial.
    defer { unsafe room.deallocate() }
    var arguments = unsafe postern_iterate_arguments()
    unsafe arguments.selector = selector.record
    unsafe arguments.cursor = cursor
    unsafe arguments.out = room.baseAddress
    unsafe arguments.capacity = UInt32(room.count)
    let result = unsafe call(POSTERN_ENTITY_ITERATE, &arguments)
    guard result == 0 else { throw SystemError(errno: -result, operation: "list associations") }
    next = unsafe arguments.cursor
    // SAFETY: on success the table has written `count` <= capacity elements.
    let records = unsafe room.prefix(Int(arguments.count)).map(EntityRecord.init)
    return (records, next == 0 ? nil : next)
  }

  /// The record of this object and process, in whatever state.
  public borrowing func record(_ object: ObjectID, _ process: ProcessResource) -> EntityRecord? {
    var arguments = postern_record_arguments()
    arguments.object = object.rawValue
    arguments.process = postern_process(process)
    guard call(POSTERN_ENTITY_RECORD, &arguments) == 0 else { return nil }
    return EntityRecord(arguments.association)
  }

  public borrowing func has(_ object: ObjectID, _ process: ProcessResource) -> Bool {
    record(object, process) != nil
  }

  /// Process resources with a live association, and live associations, of one application.
  public borrowing func count(_ application: ApplicationID) -> (processes: Int, live: Int) {
    var arguments = postern_count_arguments()
    arguments.application = application.rawValue
    guard call(POSTERN_ENTITY_COUNT, &arguments) == 0 else { return (0, 0) }
    return (Int(arguments.processes), Int(arguments.live))
  }

  public borrowing func statistics() -> EntityStatistics {
    var out = postern_statistics()
    _ = call(POSTERN_ENTITY_STATISTICS, &out)
    return EntityStatistics(
      live: Int(out.live), tombstones: Int(out.tombstones), processes: Int(out.processes), limits: Int(out.limits),
      capacity: Int(out.capacity), bytes: out.bytes, changes: out.changes)
  }
}

extension postern_operands {
  init(_ operands: Operands) {
    self.init()
    offset = operands.offset
    length = operands.length
    request = operands.request
    guard let destination = operands.address else { return }
    family = destination.family.rawValue
    port = destination.port
    unsafe withUnsafeMutableBytes(of: &address) { bytes in
      // SAFETY: both have 16 bytes.
      for index in destination.bytes.indices { unsafe bytes[index] = destination.bytes[index] }
    }
  }
}

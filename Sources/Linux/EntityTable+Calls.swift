import Glibc
import Instructions
import KernelEntity

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

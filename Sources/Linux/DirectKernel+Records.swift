import CLinux
import Instructions
import KernelEntity

/// What an association of the path direct allows beyond its operations.
public struct DirectOptions: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let mmap = DirectOptions(rawValue: UInt8(POSTERN_ASSOCIATION_MMAP))
  public static let traceable = DirectOptions(rawValue: UInt8(POSTERN_ASSOCIATION_TRACEABLE))
  /// The first use is told, and every one.
  public static let firstUse = DirectOptions(rawValue: UInt8(POSTERN_ASSOCIATION_FIRST_USE))
  public static let allUses = DirectOptions(rawValue: UInt8(POSTERN_ASSOCIATION_ALL_USES))
  /// accepted: recall
  public static let recallsAccepted = DirectOptions(rawValue: UInt8(POSTERN_ASSOCIATION_RECALLS))
  /// The broker has the socket open, too.
  public static let lent = DirectOptions(rawValue: UInt8(POSTERN_ASSOCIATION_LENT))
  public static let all: DirectOptions = [.mmap, .traceable, .firstUse, .allUses, .recallsAccepted, .lent]
}

/// An association as it stands in the kernel's maps; processes are named as the kernel names them.
public struct DirectRecord: Sendable, Hashable {
  /// 0: a hook has made it and nobody has taken it over.
  public var number: UInt32
  public var record: EntityRecord
  public var options: DirectOptions
  /// By opcode, which instructions without operands the programs grant it without deciding anew, until it expires.
  public var keptVerdicts: UInt32
}

/// What a process is told that is to have no association.
public struct DirectTombstone: Sendable, Hashable {
  /// As the kernel names it.
  public var process: ProcessResource
  public var object: ObjectID
  public var application: ApplicationID
  public var generation: UInt32

  public init(process: ProcessResource, object: ObjectID, application: ApplicationID, generation: UInt32) {
    self.process = process
    self.object = object
    self.application = application
    self.generation = generation
  }

  public init(_ record: EntityRecord) {
    self.init(
      process: record.process, object: record.object, application: record.application, generation: record.generation)
  }
}

extension DirectKernel {
  /// Makes an object known to the programs, as the table has it. Errors: ENOSPC, ENOENT.
  func put(_ object: postern_object) throws(SystemError) {
    var object = object
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("kernel object") { unsafe clinux_direct_put_object($0, &object) }
  }

  /// The generation and kind that the programs know an object by; nil: none of this number.
  public func object(_ id: ObjectID) -> Object? {
    var object = postern_object()
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    let result = withKernel { unsafe clinux_direct_get_object($0, id.rawValue, &object) }
    guard result == 0, let kind = ObjectKind(rawValue: object.kind) else { return nil }
    return Object(
      kind: kind, generation: object.generation, present: object.present != 0,
      footprint: EntityObject(object)?.footprint)
  }

  /// From now on there is no such object.
  public func forgetObject(_ id: ObjectID) throws(SystemError) {
    guard let last = object(id) else { return }
    var gone = postern_object()
    gone.id = id.rawValue
    gone.kind = last.kind.rawValue
    gone.generation = last.generation
    try put(gone)
  }

  /// Under a number that no record names. Errors: ENOSPC.
  public func put(_ limits: DirectLimits, number: UInt32) throws(SystemError) {
    var limits = limits.record
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("kernel limits") { unsafe clinux_direct_put_limits($0, number, &limits) }
  }

  /// nil: there is no such number.
  public func limits(_ number: UInt32) -> DirectLimits? {
    var limits = postern_limits()
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    let result = withKernel { unsafe clinux_direct_get_limits($0, number, &limits) }
    return result == 0 ? DirectLimits(limits) : nil
  }

  /// What an application's program has to go on being through an exec; nil: nothing.
  public func put(_ application: ApplicationID, executable: ProcessFacts.File?) throws(SystemError) {
    var record = postern_direct_application()
    if let executable {
      record.has_executable = 1
      record.executable_inode = executable.inode
      record.executable_device = DirectKernel.kernelDevice(executable.device)
    }
    let number = application.rawValue
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("kernel application") { unsafe clinux_direct_put_application($0, number, &record) }
  }

  /// A record under a number that is free. Errors: ENOSPC, ENOMEM.
  func add(_ record: postern_association, number: UInt32) throws(SystemError) {
    var record = record
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("kernel association") { unsafe clinux_direct_add($0, number, &record) }
  }

  func change(_ record: postern_association, number: UInt32) throws(SystemError) {
    var record = record
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("kernel association") { unsafe clinux_direct_change($0, number, &record) }
  }

  /// From now on nobody finds it; the number is free after `waitForChecks`.
  func remove(_ number: UInt32) throws(SystemError) {
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("kernel association") { unsafe clinux_direct_remove($0, number) }
  }

  /// Every record that an earlier broker has left.
  public func records() -> [DirectRecord] {
    (1..<max(capacity.records, 2)).compactMap { number in
      var record = postern_association()
      // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
      guard withKernel({ unsafe clinux_direct_get_record($0, number, &record) }) == 0 else { return nil }
      return DirectRecord(record, number: number)
    }
  }

  /// Associations that hooks have made and nobody has taken over.
  public func bound() -> [DirectRecord] {
    var found: [DirectRecord] = []
    var key = postern_direct_key()
    var record = postern_association()
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    while withKernel({ unsafe clinux_direct_next_bound($0, &key, &record) }) == 0 {
      found.append(DirectRecord(record, number: 0))
    }
    return found
  }

  /// What a hook has made for this object and process is no longer found; it was taken over, or is to end.
  public func forgetBound(_ object: ObjectID, _ process: ProcessResource) {
    var key = postern_direct_key()
    key.process = postern_process(process)
    key.object = object.rawValue
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    _ = withKernel { unsafe clinux_direct_forget_bound($0, &key) }
  }

  /// The check that a hook would make of this instruction by a process as the kernel names it; nil: granted.
  ///
  /// Errors: what BPF_PROG_TEST_RUN gives.
  public func ask(_ instruction: Instruction, process: ProcessResource, now: UInt64) throws(SystemError) -> Reason? {
    var question = postern_direct_question()
    question.process = postern_process(process)
    question.object = instruction.object.rawValue
    question.opcode = UInt32(instruction.opcode.rawValue)
    question.operands = postern_operands(instruction.operands)
    question.now = now
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("ask the kernel") { unsafe clinux_direct_ask($0, &question) }
    guard question.reason != POSTERN_REASON_GRANTED.rawValue else { return nil }
    return Reason(rawValue: UInt16(truncatingIfNeeded: question.reason)) ?? .undecidable
  }

  /// Whether a hook would make an association of `ancestor`'s for who descends from it and was forked off by `forked`.
  ///
  /// Errors: what BPF_PROG_TEST_RUN gives.
  public func mayInherit(_ object: ObjectID, from ancestor: ProcessResource, forked: UInt64) throws(SystemError) -> Bool
  {
    var question = postern_direct_question()
    question.process = postern_process(ancestor)
    question.object = object.rawValue
    question.now = forked
    question.inherits = 1
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("ask the kernel") { unsafe clinux_direct_ask($0, &question) }
    return question.reason == POSTERN_REASON_GRANTED.rawValue
  }

  /// stat(2)'s device number as the kernel has it: major << 20 | minor (include/linux/kdev_t.h).
  public static func kernelDevice(_ device: UInt64) -> UInt32 {
    let major = (device >> 8 & 0xfff) | (device >> 32 & ~0xfff)
    let minor = (device & 0xff) | (device >> 12 & ~0xff)
    return UInt32(truncatingIfNeeded: major << 20 | minor)
  }

  /// The other way round.
  public static func device(kernel number: UInt32) -> UInt64 {
    let (major, minor) = (UInt64(number >> 20), UInt64(number & 0xfffff))
    return (minor & 0xff) | (major & 0xfff) << 8 | (minor & ~0xff) << 12 | (major & ~0xfff) << 32
  }
}

extension DirectKernel {
  /// An object as the programs know it.
  public struct Object: Sendable, Hashable {
    public var kind: ObjectKind
    public var generation: UInt32
    public var present: Bool
    public var footprint: EntityFootprint?
  }
}

extension DirectRecord {
  init(_ record: postern_association, number: UInt32) {
    self.number = number
    self.record = EntityRecord(postern_association_info(id: 0, ancestor: 0, record: record))
    options = DirectOptions(rawValue: record.flags).intersection(.all)
    // SAFETY: the function only reads the record, a local.
    keptVerdicts = unsafe withUnsafePointer(to: record) { unsafe postern_kept_verdicts($0) }
  }
}

extension DirectKernel {
  /// Brings an object up to what the table has; one that the table has forgotten is none any more.
  public func project(_ object: ObjectID, of table: borrowing EntityTable) throws(SystemError) {
    guard object.rawValue < capacity.objects - 1 else {
      throw SystemError(errno: ErrorCode.noSpace, operation: "kernel object")
    }
    if let known = table.kernelObject(object) { try put(known) } else { try forgetObject(object) }
  }

  /// What a process is to have after its exec and may not use before: evidence for on-exec: keep. Errors: ENOSPC, ENOMEM.
  public func promise(
    _ object: ObjectID, _ named: ProcessResource, application: ApplicationID, operations: OperationSet,
    generation: UInt32, limits: UInt32, options: DirectOptions, since: UInt64, number: UInt32
  ) throws(SystemError) {
    var record = postern_association()
    record.process = postern_process(named)
    record.object = object.rawValue
    record.application = application.rawValue
    record.operations = operations.rawValue
    record.generation = generation
    record.limits = limits
    record.path = OperationPath.direct.rawValue
    record.since = since
    record.state = AssociationState.departed.rawValue
    // Whom it forks before that has nothing of it.
    record.on_fork = UInt8(POSTERN_ON_FORK_DENY.rawValue)
    record.flags = UInt8(POSTERN_ASSOCIATION_KEEP) | options.rawValue
    try add(record, number: number)
  }

  public func release(_ number: UInt32) throws(SystemError) { try remove(number) }

  /// A tombstone that the table does not have: what a hook has made, or would make, and the broker has refused, or what an
  /// earlier broker has left. Errors: ENOSPC, ENOMEM.
  ///
  /// - Parameter isThere: the number is that of a record of this process and object.
  public func refuse(
    _ refused: DirectTombstone, number: UInt32, isThere: Bool, as state: AssociationState
  ) throws(SystemError) {
    var tombstone = postern_association()
    tombstone.process = postern_process(refused.process)
    tombstone.object = refused.object.rawValue
    tombstone.generation = refused.generation
    tombstone.application = refused.application.rawValue
    tombstone.path = OperationPath.direct.rawValue
    tombstone.state = state.rawValue
    if isThere { try change(tombstone, number: number) } else { try add(tombstone, number: number) }
  }
}

import CLinux
import Instructions
import KernelEntity
import Synchronization

/// The kernel's side of the path direct: LSM programs and the maps that they decide by.
///
/// Thread-safe. What it has pinned goes on when it, and the process, are gone.
public final class DirectKernel: Sendable {
  /// How far a start came, and why it went no further.
  public struct Failure: Error, Sendable, Hashable {
    public enum Stage: Int32, Sendable, Hashable {
      case library = 1
      case object = 2
      case pins = 3
      case claim = 4
      case layout = 5
      case load = 6
      case attach = 7
      case trial = 8
    }

    public var stage: Stage
    public var errno: Int32
    /// What it was about: a file, a hook.
    public var detail: String
  }

  public enum ProgramClass: UInt32, Sendable, Hashable {
    case files = 1
    /// Needs `files` beside it.
    case sockets = 2
  }

  /// Places in the maps; 0 takes the default. Pinned maps keep the sizes they have.
  public struct Capacity: Sendable, Hashable {
    public var objects: UInt32
    public var records: UInt32
    public var limits: UInt32
    public var applications: UInt32

    public init(objects: UInt32 = 0, records: UInt32 = 0, limits: UInt32 = 0, applications: UInt32 = 0) {
      self.objects = objects
      self.records = records
      self.limits = limits
      self.applications = applications
    }
  }

  public struct Counts: Sendable, Hashable {
    /// 0: none had to be loaded, those of an earlier broker run.
    public var programs: Int
    public var attached: Int
    public var maps: Int
    public var loadNanoseconds: UInt64
    public var attachNanoseconds: UInt64
  }

  private let address: UInt
  private let lock = Mutex<Bool>(false)
  public let capacity: Capacity
  /// An earlier broker's maps, with its associations.
  public let isInherited: Bool

  /// Takes over what is pinned in `pins`, or loads the programs and pins them; the caller becomes the broker that they
  /// let through. Enforcement that was there goes on without a gap.
  ///
  /// - Parameter pins: a folder in a BPF file system; nil: maps and no hooks, for tests of the maps' contents.
  public init(objectFile: String, pins: String?, capacity: Capacity = Capacity()) throws(Failure) {
    var sizes = clinux_direct_sizes(
      objects: capacity.objects, records: capacity.records, limits: capacity.limits,
      applications: capacity.applications)
    var failure = clinux_direct_failure()
    var opened: OpaquePointer?
    // SAFETY: the pointers are to locals that outlive the call; on success `opened` is ours to close.
    let result = unsafe clinux_direct_open(objectFile, pins, &sizes, pins == nil ? 1 : 0, &opened, &failure)
    guard result == 0, let direct = unsafe opened else { throw Failure(failure, result) }
    // SAFETY: `direct` is open.
    unsafe clinux_direct_capacities(direct, &sizes)
    self.capacity = Capacity(
      objects: sizes.objects, records: sizes.records, limits: sizes.limits, applications: sizes.applications)
    // SAFETY: `direct` is open.
    isInherited = unsafe clinux_direct_is_inherited(direct) != 0
    address = UInt(bitPattern: direct)
  }

  deinit {
    // SAFETY: closed once, by the owner.
    unsafe clinux_direct_close(pointer)
  }

  private var pointer: OpaquePointer? {
    // SAFETY: `address` came from a pointer that is valid while self lives.
    unsafe OpaquePointer(bitPattern: address)
  }

  /// One call at a time, as the C side asks.
  @safe func withKernel<Value: ~Copyable>(_ body: (OpaquePointer?) -> Value) -> Value {
    // SAFETY: the pointer is valid while self lives, and used by one thread at a time.
    lock.withLock { _ in unsafe body(pointer) }
  }

  @safe func attempt(_ operation: StaticString, _ body: (OpaquePointer?) -> Int32) throws(SystemError) {
    let result = withKernel(body)
    guard result == 0 else { throw SystemError(errno: -result, operation: "\(operation)") }
  }

  /// nil: a program of this type can be loaded; the kernel only says by letting one in.
  public static func obstacle() -> Failure? {
    var failure = clinux_direct_failure()
    // SAFETY: the pointer is to a local.
    let result = unsafe clinux_direct_probe(&failure)
    return result == 0 ? nil : Failure(failure, result)
  }

  /// Removes what an earlier broker has pinned. Errors: EBUSY where a broker lives, ENOENT where nothing is pinned.
  public static func unload(pins: String) throws(SystemError) {
    // SAFETY: a string that is valid during the call.
    let result = unsafe clinux_direct_unload(pins)
    guard result == 0 else { throw SystemError(errno: -result, operation: "unload", path: pins) }
  }

  /// Attaches the programs of a class, once; before the first object of that class is tagged.
  public func attach(_ which: ProgramClass) throws(Failure) {
    var failure = clinux_direct_failure()
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    let result = withKernel { unsafe clinux_direct_attach($0, clinux_direct_class(which.rawValue), &failure) }
    guard result == 0 else { throw Failure(failure, result) }
  }

  /// Detaches them again: nothing may be tagged that needs them.
  public func detach(_ which: ProgramClass) throws(SystemError) {
    try attempt("detach") { kernel in
      // SAFETY: the handle is valid while self lives.
      unsafe clinux_direct_detach(kernel, clinux_direct_class(which.rawValue))
    }
  }

  /// One call that is allowed and two that are not, by a process and on a socket of their own. Not after the caller has
  /// confined itself: it forks.
  public func tryOut() throws(Failure) {
    var failure = clinux_direct_failure()
    let result = withKernel { kernel in
      // SAFETY: the handle is valid while self lives, and the pointer is to a local that outlives the call.
      unsafe clinux_direct_trial(kernel, &failure)
    }
    guard result == 0 else { throw Failure(failure, result) }
  }

  public var counts: Counts {
    var (programs, attached, maps): (UInt32, UInt32, UInt32) = (0, 0, 0)
    var (load, attach): (UInt64, UInt64) = (0, 0)
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    withKernel { unsafe clinux_direct_counts($0, &programs, &attached, &maps, &load, &attach) }
    return Counts(
      programs: Int(programs), attached: Int(attached), maps: Int(maps), loadNanoseconds: load,
      attachNanoseconds: attach)
  }

  /// How the programs name the process that `pidfd` holds. Errors: ESRCH.
  public func identity(_ pidfd: borrowing Descriptor) throws(SystemError) -> ProcessResource {
    var process = postern_process()
    let number = pidfd.rawValue
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("bpf iterator") { unsafe clinux_direct_identity($0, number, &process) }
    return ProcessResource(process)
  }

  /// Notes that a process holds objects of this path, so that its children are known to descend from a holder.
  public func noteHolder(
    _ pidfd: borrowing Descriptor, _ process: ProcessResource, traceable: Bool
  ) throws(SystemError) {
    var named = postern_process(process)
    let number = pidfd.rawValue
    let flags = UInt32(POSTERN_LINEAGE_HOLDS) | (traceable ? UInt32(POSTERN_LINEAGE_TRACEABLE) : 0)
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("note a holder") { unsafe clinux_direct_holds($0, number, &named, flags) }
  }

  /// What a process was, as the kernel names it, before an exec that may keep what it had; nil: nothing, or it cannot be
  /// found out.
  public func previous(_ pidfd: borrowing Descriptor) -> ProcessResource? {
    var process = postern_process()
    let number = pidfd.rawValue
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    let result = withKernel { unsafe clinux_direct_previous($0, number, &process) }
    return result == 1 ? ProcessResource(process) : nil
  }

  /// The holders that a process descends from, nearest first, as hooks noted them at the forks; none where it has executed
  /// since. Errors: ESRCH.
  public func ancestors(_ pidfd: borrowing Descriptor) throws(SystemError) -> [Ancestor] {
    let capacity = Int(POSTERN_DIRECT_ANCESTORS)
    var processes = [postern_process](repeating: postern_process(), count: capacity)
    var forked = [UInt64](repeating: 0, count: capacity)
    let number = pidfd.rawValue
    let result = withKernel { kernel in
      // SAFETY: the handle is valid while self lives; both arrays have the places that the C side fills.
      unsafe clinux_direct_ancestors(kernel, number, &processes, &forked)
    }
    guard result >= 0 else { throw SystemError(errno: -result, operation: "ancestors") }
    return (0..<Int(result)).map { Ancestor(process: ProcessResource(processes[$0]), forked: forked[$0]) }
  }

  /// Lets the children of this process take rings from holders, and nobody trace it or them.
  public func nameHands(_ hands: borrowing RingHands) throws(SystemError) {
    let number = hands.process
    // SAFETY: the handle is valid while self lives.
    try attempt("name the hands") { unsafe clinux_direct_name_hands($0, number) }
  }

  /// The process that hands are forked from has ended.
  public func forgetHands() {
    // SAFETY: the handle is valid while self lives.
    _ = withKernel { unsafe clinux_direct_name_hands($0, -1) }
  }

  /// Makes an open file or socket a privileged object. Errors: EINVAL where it cannot be one.
  ///
  /// - Parameter owner: the record that is tried first.
  public func tag(
    _ descriptor: borrowing Descriptor, object: ObjectID, owner: UInt32, recallsAccepted: Bool, isOwn: Bool = false
  ) throws(SystemError) {
    let number = descriptor.rawValue
    let flags =
      (recallsAccepted ? UInt32(POSTERN_TAG_RECALL_ACCEPTED) : 0) | (isOwn ? UInt32(POSTERN_TAG_OWN) : 0)
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    try attempt("tag") { unsafe clinux_direct_tag($0, number, object.rawValue, owner, flags) }
  }

  /// Whether a socket is an object already.
  public func isTagged(_ socket: borrowing Descriptor) -> Bool {
    let number = socket.rawValue
    return withKernel { kernel in
      // SAFETY: the handle is valid while self lives.
      unsafe clinux_direct_is_tagged(kernel, number) == 1
    }
  }

  /// A socket is no object any more.
  public func untag(_ socket: borrowing Descriptor) {
    let number = socket.rawValue
    _ = withKernel { kernel in
      // SAFETY: the handle is valid while self lives.
      unsafe clinux_direct_untag(kernel, number)
    }
  }

  /// Whether an earlier broker's programs are pinned there.
  public static func isPinned(_ pins: String) -> Bool { ProcessFacts.identity(pins + "/map_control") != nil }

  /// Until every check that began before has ended. Errors: as membarrier(2).
  public static func waitForChecks() throws(SystemError) {
    let result = clinux_direct_wait()
    guard result == 0 else { throw SystemError(errno: -result, operation: "membarrier") }
  }

  /// Sends every thread of a process back through the checks.
  ///
  /// - Parameter deadline: boottime nanoseconds.
  /// - Returns: how many threads could not be sent back by then; 0 where it has ended.
  public static func barrier(_ process: Int32, deadline: UInt64) -> Int {
    var left: UInt32 = 0
    // SAFETY: the pointer is to a local.
    let result = unsafe clinux_direct_barrier(process, deadline, &left)
    if result == 0 || -result == ErrorCode.noSuchProcess { return 0 }
    return max(1, Int(left))
  }
}

extension DirectKernel {
  /// A holder that a process descends from.
  public struct Ancestor: Sendable, Hashable {
    /// As the kernel names it.
    public var process: ProcessResource
    /// Boottime nanoseconds by which the line had been forked off it.
    public var forked: UInt64
  }
}

extension DirectKernel.Failure {
  init(_ failure: clinux_direct_failure, _ result: Int32) {
    let detail = unsafe withUnsafeBytes(of: failure.detail) { bytes in
      // SAFETY: copied within the closure.
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    self.init(
      stage: Stage(rawValue: failure.stage) ?? .load, errno: failure.error == 0 ? -result : failure.error,
      detail: detail)
  }
}

import CLinux
import Instructions
import KernelEntity

/// A limit set as the kernel has it.
public struct DirectLimits: Sendable, Hashable {
  private let bytes: [UInt8]

  init(_ limits: postern_limits) {
    bytes = unsafe withUnsafeBytes(of: limits) { bytes in
      // SAFETY: copied within the closure; the struct has no padding (postern_abi.h asserts its size).
      unsafe Array(bytes)
    }
  }

  var record: postern_limits {
    var limits = postern_limits()
    unsafe withUnsafeMutableBytes(of: &limits) { room in
      // SAFETY: as many bytes as `init` took from a struct of this type.
      unsafe room.copyBytes(from: bytes)
    }
    return limits
  }
}

/// A record of the table as the kernel is to have it.
public struct DirectProjection: Sendable {
  let record: postern_association
  /// nil: none, or a tombstone, which needs none.
  public let limits: DirectLimits?

  /// Whether it gives its process, or its process's children, anything.
  var holds: Bool {
    record.state == AssociationState.live.rawValue || record.state == AssociationState.departed.rawValue
  }

  func with(limits number: UInt32) -> postern_association {
    var written = record
    written.limits = number
    return written
  }
}

extension EntityTable {
  /// The record of `process` as the kernel is to have it, under the kernel's name of that process; nil: there is none.
  ///
  /// Errors: ENOENT where its limits are not there.
  public borrowing func projection(
    of object: ObjectID, _ process: ProcessResource, as named: ProcessResource, _ options: DirectOptions
  ) throws(SystemError) -> DirectProjection? {
    var arguments = postern_record_arguments()
    arguments.object = object.rawValue
    arguments.process = postern_process(process)
    guard call(POSTERN_ENTITY_RECORD, &arguments) == 0 else { return nil }
    var record = arguments.association.record
    record.process = postern_process(named)
    record.flags |= options.rawValue
    // The entity's own members of the table's record mean nothing here.
    record.reuse = 0
    record.membership = 0
    let index = record.limits
    record.limits = 0
    let bare = DirectProjection(record: record, limits: nil)
    guard bare.holds, index != 0 else { return bare }
    guard let limits = kernelLimits(index) else {
      throw SystemError(errno: ErrorCode.noSuchEntry, operation: "kernel limits")
    }
    return DirectProjection(record: record, limits: DirectLimits(limits))
  }

  /// The object as the table has it, present or not.
  borrowing func kernelObject(_ id: ObjectID) -> postern_object? {
    // SAFETY: a trivial struct of ours without pointers; the entity reads and writes only it.
    var arguments = unsafe postern_object_arguments()
    unsafe arguments.object.id = id.rawValue
    return unsafe call(POSTERN_ENTITY_OBJECT, &arguments) == 0 ? arguments.object : nil
  }

  /// A limit set of the table; nil: there is none of this number.
  public borrowing func directLimits(_ index: UInt32) -> DirectLimits? {
    kernelLimits(index).map { DirectLimits($0) }
  }

  private borrowing func kernelLimits(_ index: UInt32) -> postern_limits? {
    var arguments = postern_limits_arguments()
    arguments.index = index
    return call(POSTERN_ENTITY_LIMITS, &arguments) == 0 ? arguments.limits : nil
  }
}

extension DirectKernel {
  /// A record under a number that nobody finds yet. Errors: ENOSPC, ENOMEM.
  public func add(_ projection: DirectProjection, limits: UInt32, number: UInt32) throws(SystemError) {
    try add(projection.with(limits: limits), number: number)
  }

  /// The record under this number becomes `projection`, of the same process and object.
  public func change(_ projection: DirectProjection, limits: UInt32, number: UInt32) throws(SystemError) {
    try change(projection.with(limits: limits), number: number)
  }

  /// Whether the record may change where it stands.
  ///
  /// A check reads a record's members one after the other while it changes, so that it may find the operations of one
  /// association beside the limits of another. Less may become of a record at any time; what comes to life again, or has
  /// other limits, gets a number of its own.
  public func mayChange(_ number: UInt32, to projection: DirectProjection, limits: UInt32) -> Bool {
    guard projection.holds else { return true }
    var before = postern_association()
    // SAFETY: the handle is valid while self lives; pointers are to locals that outlive the call.
    guard withKernel({ unsafe clinux_direct_get_record($0, number, &before) }) == 0 else { return false }
    let after = projection.record
    return (before.state == AssociationState.live.rawValue || before.state == after.state) && before.limits == limits
      && before.generation == after.generation && before.application == after.application
  }
}

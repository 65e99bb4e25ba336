import Instructions
import KernelEntity

/// The simulated entity's association table (module KernelEntity), each entry point treated as a system call.
///
/// One owner, one call at a time. Numbers that a caller passes are checked by the table itself.
@safe public struct EntityTable: ~Copyable {
  private let entity: OpaquePointer

  /// Capacities; 0 takes the table's default. Memory is used only as records come.
  public struct Capacity: Sendable {
    public var associations: UInt32
    public var processes: UInt32
    public var objects: UInt32
    public var limits: UInt32

    public init(associations: UInt32 = 0, processes: UInt32 = 0, objects: UInt32 = 0, limits: UInt32 = 0) {
      self.associations = associations
      self.processes = processes
      self.objects = objects
      self.limits = limits
    }
  }

  /// A new, empty table in a memory file of its own.
  public init(_ capacity: Capacity = Capacity()) throws(SystemError) {
    var configuration = postern_entity_configuration(
      associations: capacity.associations, processes: capacity.processes, applications: 0,
      objects: capacity.objects, limits: capacity.limits)
    var created: OpaquePointer?
    // SAFETY: both pointers are to locals that outlive the call; on success `created` is ours to destroy.
    let result = unsafe postern_entity_create(&configuration, &created)
    guard result == 0, let table = unsafe created else {
      throw SystemError(errno: -result, operation: "memfd_create", path: "association table")
    }
    unsafe entity = table
  }

  /// The table in the memory file of an earlier owner; the descriptor is duplicated.
  ///
  /// Errors: EINVAL where it is not a sealed table of this version.
  public init(attaching descriptor: borrowing Descriptor) throws(SystemError) {
    var attached: OpaquePointer?
    // SAFETY: the pointer is to a local that outlives the call; on success `attached` is ours to destroy.
    let result = unsafe postern_entity_attach(descriptor.rawValue, &attached)
    guard result == 0, let table = unsafe attached else {
      throw SystemError(errno: -result, operation: "mmap", path: "association table")
    }
    unsafe entity = table
  }

  deinit {
    // SAFETY: `entity` came from create or attach and is destroyed once, here.
    unsafe postern_entity_destroy(entity)
  }

  /// A second descriptor of the memory file, to hand to whoever shall keep the table.
  public borrowing func memoryFile() throws(SystemError) -> Descriptor {
    // SAFETY: `entity` is alive; the number belongs to it and is only duplicated here.
    let number = unsafe postern_entity_descriptor(entity)
    let borrowed = Descriptor(adopting: number)
    let copy: Result<Descriptor, SystemError>
    do throws(SystemError) { copy = .success(try borrowed.duplicate()) } catch { copy = .failure(error) }
    _ = borrowed.release()
    return try copy.get()
  }

  /// 0, or the number of an invariant that does not hold. Walks the whole table.
  public borrowing func validate() -> Int32 {
    // SAFETY: `entity` is alive and only read.
    unsafe postern_entity_validate(entity)
  }

  /// One entry point: a request number and its argument struct, changed in place.
  borrowing func call<Argument>(_ request: postern_entity_request, _ argument: inout Argument) -> Int32 {
    // SAFETY: `entity` is alive, the caller pairs the request with its struct (postern_entity.h), and the
    // table keeps no pointer into it after the call.
    unsafe withUnsafeMutablePointer(to: &argument) { unsafe postern_entity_ioctl(entity, request.rawValue, $0) }
  }

  /// The hot entry point, without the dispatcher.
  @inline(__always)
  borrowing func callCheck(_ arguments: inout postern_check_arguments) -> Int32 {
    // SAFETY: `entity` is alive; the struct is the caller's for the time of the call.
    unsafe postern_entity_check(entity, &arguments)
  }

  /// Calls `body` with room for dropped associations, and again with as much as it says it needs.
  ///
  /// `body` returns the table's result and the count; -ENOSPC with a count above the capacity changed nothing.
  borrowing func collect(
    _ operation: StaticString,
    _ body: (UnsafeMutableBufferPointer<postern_association_info>) -> (result: Int32, count: UInt32)
  ) throws(SystemError) -> [EntityRecord] {
    var capacity = 32
    while true {
      let room = UnsafeMutableBufferPointer<postern_association_info>.allocate(capacity: capacity)
      // SAFETY: allocated just above, freed once; the struct is trivial, so no element needs deinitializing.
      defer { unsafe room.deallocate() }
      let (result, count) = unsafe body(room)
      if result == 0 {
        // SAFETY: on success the table has written `count` <= capacity elements.
        return unsafe room.prefix(Int(count)).map(EntityRecord.init)
      }
      guard Int(count) > capacity else { throw SystemError(errno: -result, operation: "\(operation)") }
      capacity = Int(count)
    }
  }
}

extension postern_process {
  init(_ process: ProcessResource) {
    self.init(tgid: process.tgid, exec_epoch: process.execEpoch, start: process.start)
  }
}

extension ProcessResource {
  init(_ process: postern_process) {
    self.init(tgid: process.tgid, start: process.start, execEpoch: process.exec_epoch)
  }
}

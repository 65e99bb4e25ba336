import Glibc
import Instructions
import KernelEntity

extension EntityTable {
  /// The object's generation. Errors: EEXIST, EINVAL (number out of range).
  ///
  /// - Parameter generation: to begin with; 0: the table's choice.
  public borrowing func add(_ object: EntityObject, generation: UInt32 = 0) throws(SystemError) -> UInt32 {
    // SAFETY: a trivial struct of ours without pointers; the entity reads and writes only it.
    var arguments = unsafe postern_object_arguments()
    unsafe arguments.object = object.record
    unsafe arguments.object.generation = generation
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
}

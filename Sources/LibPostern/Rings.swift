import CPostern
import Instructions
import Linux
import Postern
import Wire

@c @implementation
public func postern_ring_open(
  _ connection: OpaquePointer?, _ object: UnsafePointer<CChar>?, _ operations: UInt32, _ ring: Int32,
  _ out: UnsafeMutablePointer<postern_ring>?
) -> Int32 {
  Calls.result { () throws(PosternError) in
    guard let object = unsafe object, let out = unsafe out else { throw Calls.badAddress }
    guard operations & ~OperationSet.all.rawValue == 0 else { throw Calls.invalid("an operation does not exist") }
    // SAFETY: the caller promises a string, a handle, and room for one structure.
    let name = unsafe String(cString: object)
    let enrolled = try unsafe Calls.connection(connection)
      .enrol(name, OperationSet(rawValue: operations), ring: ring)
    unsafe out.pointee = postern_ring(enrolled)
    return 0
  }
}

@c @implementation
public func postern_ring_revalidate(
  _ connection: OpaquePointer?, _ object: UnsafePointer<CChar>?, _ ring: Int32,
  _ out: UnsafeMutablePointer<postern_ring>?
) -> Int32 {
  Calls.result { () throws(PosternError) in
    guard let object = unsafe object, let out = unsafe out else { throw Calls.badAddress }
    // SAFETY: as above.
    let name = unsafe String(cString: object)
    let enrolled = try unsafe Calls.connection(connection).enrolInherited(name, ring: ring)
    unsafe out.pointee = postern_ring(enrolled)
    return 0
  }
}

@c @implementation
public func postern_ring_close(_ connection: OpaquePointer?, _ ring: UnsafePointer<postern_ring>?) -> Int32 {
  Calls.result { () throws(PosternError) in
    guard let ring = unsafe ring else { throw Calls.badAddress }
    // SAFETY: the caller promises one structure.
    let association = unsafe AssociationID(rawValue: ring.pointee.association)
    try unsafe Calls.connection(connection).release(association, ring: ring.pointee.ring)
    return 0
  }
}

extension postern_ring {
  fileprivate init(_ enrolled: Enrolled) {
    self.init(
      association: enrolled.association.rawValue, opcodes: enrolled.opcodes, length: enrolled.rangeLength,
      expiry: enrolled.expiry, ring: enrolled.ring, operations: enrolled.operations.rawValue, slot: enrolled.slot)
  }
}

import CPostern
import Instructions
import Linux
import Postern

extension Calls {
  /// The connection that a handle stands for; the handle owns one reference, from postern_connect to postern_disconnect.
  static func connection(_ handle: OpaquePointer?) throws(PosternError) -> PosternConnection {
    guard let handle = unsafe handle else { throw badAddress }
    // SAFETY: the caller promises a handle from postern_connect that was not disconnected.
    return unsafe Unmanaged<PosternConnection>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
  }
}

@c @implementation
public func postern_connect(_ socket_path: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?) -> Int32
{
  Calls.result { () throws(PosternError) in
    guard let out = unsafe out else { throw Calls.badAddress }
    unsafe out.pointee = nil
    // SAFETY: the caller promises a string.
    let path = unsafe socket_path.map { unsafe String(cString: $0) }
    let connection = try PosternConnection(path: path)
    unsafe out.pointee = OpaquePointer(Unmanaged.passRetained(connection).toOpaque())
    return 0
  }
}

@c @implementation
public func postern_disconnect(_ connection: OpaquePointer?) {
  guard let connection = unsafe connection else { return }
  // SAFETY: the caller gives up the handle's reference.
  unsafe Unmanaged<PosternConnection>.fromOpaque(UnsafeRawPointer(connection)).takeRetainedValue().disconnect()
}

@c @implementation
public func postern_set_automatic_revalidation(_ connection: OpaquePointer?, _ on: Int32) {
  // SAFETY: the caller holds the handle during this call.
  guard let connection = try? unsafe Calls.connection(connection) else { return }
  connection.revalidatesAutomatically = on != 0
}

@c @implementation
public func postern_last_reason(_ message: UnsafeMutablePointer<CChar>?, _ capacity: Int) -> Int32 {
  let refusal = LastRefusal.current
  if let message = unsafe message, capacity > 0 {
    let text = Array((refusal?.message ?? "").utf8.prefix(capacity - 1))
    for (index, byte) in text.enumerated() {
      // SAFETY: the caller promises `capacity` bytes.
      unsafe message[index] = CChar(bitPattern: byte)
    }
    unsafe message[text.count] = 0
  }
  return Int32(refusal?.reason.rawValue ?? 0)
}

@c @implementation
public func postern_open(_ connection: OpaquePointer?, _ object: UnsafePointer<CChar>?, _ operations: UInt32) -> Int32 {
  Calls.result { () throws(PosternError) in
    guard let object = unsafe object else { throw Calls.badAddress }
    let connection = try unsafe Calls.connection(connection)
    guard operations & ~OperationSet.all.rawValue == 0 else { throw Calls.invalid("an operation does not exist") }
    // SAFETY: the caller promises a string.
    let name = unsafe String(cString: object)
    let opened = try connection.open(name, OperationSet(rawValue: operations))
    try Calls.register(OpenDescriptor(opened))
    return opened.number
  }
}

@c @implementation
public func postern_close(_ fd: Int32) -> Int32 {
  Calls.result { () throws(PosternError) in
    try Calls.forget(fd).object.close()
    return 0
  }
}

@c @implementation
public func postern_revalidate(_ fd: Int32) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    try object.revalidate()
    return 0
  }
}

@c @implementation
public func postern_path(_ fd: Int32) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in Int32(object.facts.path.rawValue) }
}

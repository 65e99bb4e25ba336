import Authority
import CPostern
import Instructions
import Linux
import Postern

@c @implementation
public func postern_read(_ fd: Int32, _ buffer: UnsafeMutableRawPointer?, _ size: Int, _ offset: Int) -> Int {
  Calls.call(fd) { (object) throws(PosternError) in
    let memory = try unsafe Calls.memory(buffer, size)
    // SAFETY: the caller promises `size` bytes, which nobody else uses during the call.
    var span = unsafe MutableSpan<UInt8>(_unsafeBytes: memory)
    return try object.read(into: &span, at: Calls.offset(offset))
  }
}

@c @implementation
public func postern_write(_ fd: Int32, _ buffer: UnsafeRawPointer?, _ size: Int, _ offset: Int) -> Int {
  Calls.call(fd) { (object) throws(PosternError) in
    let bytes = try unsafe Calls.bytes(buffer, size)
    // SAFETY: the caller promises `size` bytes that stay as they are during the call.
    let span = unsafe Span<UInt8>(_unsafeBytes: bytes)
    return try object.write(span, at: Calls.offset(offset))
  }
}

@c @implementation
public func postern_flush(_ fd: Int32) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    try object.flush()
    return 0
  }
}

@c @implementation
public func postern_discard(_ fd: Int32, _ offset: Int, _ length: Int) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    try object.discard(offset: Calls.offset(offset), length: Calls.offset(length))
    return 0
  }
}

@c @implementation
public func postern_info(_ fd: Int32, _ buffer: UnsafeMutableRawPointer?, _ size: Int) -> Int {
  Calls.call(fd) { (object) throws(PosternError) in
    let memory = try unsafe Calls.memory(buffer, size)
    let bytes = try object.info()
    let count = min(bytes.count, size)
    // SAFETY: at most `size` bytes are written.
    unsafe memory.copyBytes(from: bytes[..<count])
    return count
  }
}

@c @implementation
public func postern_transfer(
  _ fd: Int32, _ out: UnsafeRawPointer?, _ out_len: Int, _ `in`: UnsafeMutableRawPointer?, _ in_len: Int
) -> Int {
  Calls.call(fd) { (object) throws(PosternError) in
    // Copied, because the caller's two buffers may overlap and spans may not.
    let bytes = try unsafe [UInt8](Calls.bytes(out, out_len))
    let memory = try unsafe Calls.memory(`in`, in_len)
    // SAFETY: the caller promises `in_len` bytes, which nobody else uses during the call.
    var span = unsafe MutableSpan<UInt8>(_unsafeBytes: memory)
    return try object.transfer(bytes.span, into: &span)
  }
}

@c @implementation
public func postern_control(_ fd: Int32, _ request: UInt, _ argument: UnsafeMutableRawPointer?, _ size: Int) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    guard let request = UInt32(exactly: request) else { throw Calls.invalid("a request has 32 bits") }
    let memory = try unsafe Calls.memory(argument, size)
    // Nothing is sent for a request that only answers: see BusControl.
    let isRead = BusControl(request: request)?.readsArgument ?? true
    let bytes = isRead ? unsafe [UInt8](memory) : []
    // SAFETY: as in postern_transfer.
    var span = unsafe MutableSpan<UInt8>(_unsafeBytes: memory)
    return Int32(clamping: try object.control(request, argument: bytes.span, into: &span))
  }
}

@c @implementation
public func postern_wait(_ fd: Int32, _ event: UnsafeMutableRawPointer?, _ size: Int) -> Int {
  Calls.call(fd) { (object) throws(PosternError) in
    let memory = try unsafe Calls.memory(event, size)
    // SAFETY: as in postern_read.
    var span = unsafe MutableSpan<UInt8>(_unsafeBytes: memory)
    guard let count = try object.wait(into: &span) else { throw Calls.again }
    return count
  }
}

import CPostern
import Glibc
import Instructions
import Linux
import Postern

@c @implementation
public func postern_bind(_ fd: Int32) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    try object.bind()
    return 0
  }
}

@c @implementation
public func postern_listen(_ fd: Int32, _ backlog: Int32) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    // listen(2) takes a negative backlog for 0.
    try object.listen(backlog: UInt32(clamping: backlog))
    return 0
  }
}

@c @implementation
public func postern_accept(
  _ fd: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?, _ flags: Int32
) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    // SAFETY: the caller's address has room for its length; only SocketAddress.store writes it.
    guard unsafe (address == nil) == (length == nil) else { throw Calls.badAddress }
    let nonblocking = Int32(SOCK_NONBLOCK.rawValue)
    let closeOnExec = Int32(SOCK_CLOEXEC.rawValue)
    guard flags & ~(nonblocking | closeOnExec) == 0 else { throw Calls.invalid("a flag is not known") }
    guard let accepted = try object.accept() else { throw Calls.again }
    do throws(SystemError) {
      try accepted.descriptor.setFlags(nonblocking: flags & nonblocking != 0, closeOnExec: flags & closeOnExec != 0)
    } catch {
      throw .failed(errno: error.errno, text: "\(error)")
    }
    unsafe SocketAddress.store(accepted.peer, address, length)
    return accepted.release()
  }
}

@c @implementation
public func postern_connect_to(_ fd: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    // SAFETY: the caller's address is valid for `length` bytes during this call, and copied.
    guard let address = try unsafe SocketAddress.decode(address, length) else { throw Calls.badAddress }
    try object.connect(to: address)
    return 0
  }
}

@c @implementation
public func postern_send(
  _ fd: Int32, _ buffer: UnsafeRawPointer?, _ size: Int, _ flags: Int32, _ address: UnsafePointer<sockaddr>?,
  _ length: socklen_t
) -> Int {
  Calls.call(fd) { (object) throws(PosternError) in
    let dontWait = Int32(MSG_DONTWAIT)
    guard flags & ~(dontWait | Int32(MSG_NOSIGNAL)) == 0 else { throw Calls.flags }
    let bytes = try unsafe Calls.bytes(buffer, size)
    let destination = try unsafe SocketAddress.decode(address, length)
    // SAFETY: as in postern_write.
    let span = unsafe Span<UInt8>(_unsafeBytes: bytes)
    guard let count = try object.send(span, to: destination, nonblocking: flags & dontWait != 0) else {
      throw Calls.again
    }
    return count
  }
}

@c @implementation
public func postern_receive(
  _ fd: Int32, _ buffer: UnsafeMutableRawPointer?, _ size: Int, _ flags: Int32,
  _ address: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?
) -> Int {
  Calls.call(fd) { (object) throws(PosternError) in
    guard unsafe (address == nil) == (length == nil) else { throw Calls.badAddress }
    let dontWait = Int32(MSG_DONTWAIT)
    let truncate = Int32(MSG_TRUNC)
    guard flags & ~(dontWait | truncate) == 0 else { throw Calls.flags }
    let memory = try unsafe Calls.memory(buffer, size)
    // SAFETY: as in postern_read.
    var span = unsafe MutableSpan<UInt8>(_unsafeBytes: memory)
    guard let received = try object.receive(into: &span, nonblocking: flags & dontWait != 0) else {
      throw Calls.again
    }
    unsafe SocketAddress.store(received.sender, address, length)
    return flags & truncate != 0 ? received.length : received.count
  }
}

@c @implementation
public func postern_shutdown(_ fd: Int32, _ how: Int32) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    guard (0...2).contains(how) else { throw Calls.invalid("shutdown(2) knows 0, 1 and 2") }
    try object.shutdown(how: UInt32(how))
    return 0
  }
}

@c @implementation
public func postern_getsockopt(
  _ fd: Int32, _ level: Int32, _ name: Int32, _ value: UnsafeMutableRawPointer?,
  _ length: UnsafeMutablePointer<socklen_t>?
) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    guard let length = unsafe length else { throw Calls.badAddress }
    let (level, name) = try Calls.option(level, name)
    let memory = try unsafe Calls.memory(value, Int(length.pointee))
    let bytes = try object.getOption(level: level, name: name)
    let count = min(bytes.count, memory.count)
    // SAFETY: at most `*length` bytes are written.
    unsafe memory.copyBytes(from: bytes[..<count])
    unsafe length.pointee = socklen_t(count)
    return 0
  }
}

@c @implementation
public func postern_setsockopt(
  _ fd: Int32, _ level: Int32, _ name: Int32, _ value: UnsafeRawPointer?, _ length: socklen_t
) -> Int32 {
  Calls.call(fd) { (object) throws(PosternError) in
    let (level, name) = try Calls.option(level, name)
    let bytes = try unsafe Calls.bytes(value, Int(length))
    // SAFETY: as in postern_write.
    let span = unsafe Span<UInt8>(_unsafeBytes: bytes)
    try object.setOption(level: level, name: name, span)
    return 0
  }
}

extension Calls {
  static var again: PosternError { .failed(errno: EAGAIN, text: "") }

  static var flags: PosternError { .usage(errno: EOPNOTSUPP, text: "a flag is not supported") }

  static func option(_ level: Int32, _ name: Int32) throws(PosternError) -> (UInt16, UInt16) {
    guard let level = UInt16(exactly: level), let name = UInt16(exactly: name) else {
      throw invalid("level and name have 16 bits")
    }
    return (level, name)
  }
}

import CPostern
import Glibc
import Instructions
import Linux
import Testing
import Wire

/// The functions of postern.h, each called as a C program does, on the object of one broker.
@safe struct CLibrary {
  private let connection: OpaquePointer?
  let fd: Int32

  /// Opens the object that `broker` has, and closes nothing that `body` has not closed.
  static func opening(_ broker: FakeBroker, _ body: (CLibrary) throws -> Void) throws {
    try broker.serving {
      var connection: OpaquePointer?
      let connected = unsafe postern_connect(broker.path, &connection)
      #expect(connected == 0)
      let fd = unsafe postern_open(connection, "object", 0)
      #expect(fd >= 0)
      try body(unsafe CLibrary(connection: connection, fd: fd))
      unsafe postern_disconnect(connection)
    }
  }

  func setAutomaticRevalidation(_ on: Bool) { unsafe postern_set_automatic_revalidation(connection, on ? 1 : 0) }

  static var lastReason: (reason: Int32, message: String) {
    var message = [CChar](repeating: 0, count: 64)
    let reason = unsafe postern_last_reason(&message, message.count)
    let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return (reason, String(decoding: text, as: UTF8.self))
  }

  func read(_ count: Int, at offset: Int) -> (result: Int, bytes: [UInt8]) {
    var bytes = [UInt8](repeating: 0, count: count)
    let result = unsafe postern_read(fd, &bytes, count, offset)
    return (result, Array(bytes.prefix(max(result, 0))))
  }

  func write(_ bytes: [UInt8], at offset: Int) -> Int { unsafe postern_write(fd, bytes, bytes.count, offset) }

  func info() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = unsafe postern_info(fd, &bytes, bytes.count)
    return Array(bytes.prefix(max(count, 0)))
  }

  func transfer(reading count: Int) -> Int {
    var bytes = [UInt8](repeating: 0, count: count)
    return unsafe postern_transfer(fd, nil, 0, &bytes, count)
  }

  func wait() -> Int {
    var event: UInt8 = 0
    return unsafe postern_wait(fd, &event, 1)
  }

  /// A device request with a number of 4 bytes.
  func control(_ request: UInt, _ value: Int32 = -1) -> (result: Int32, value: Int32) {
    var value = value
    let result = unsafe postern_control(fd, request, &value, 4)
    return (result, value)
  }

  func send(_ bytes: [UInt8]) -> Int { unsafe postern_send(fd, bytes, bytes.count, 0, nil, 0) }

  /// Sends to the socket's own address, and connects to it.
  func sendToItself(_ bytes: [UInt8]) -> (sent: Int, connected: Int32) {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { own in
        unsafe getsockname(fd, own, &length)
        let sent = unsafe postern_send(fd, bytes, bytes.count, 0, own, length)
        return (sent, unsafe postern_connect_to(fd, own, length))
      }
    }
  }

  func receive(_ count: Int, _ flags: Int32) -> (result: Int, bytes: [UInt8]) {
    var bytes = [UInt8](repeating: 0, count: count)
    let result = unsafe postern_receive(fd, &bytes, count, flags, nil, nil)
    return (result, bytes)
  }

  func accept(_ flags: Int32 = 0) -> Int32 { postern_accept(fd, nil, nil, flags) }

  func option(_ name: Int32) -> (result: Int32, value: Int32) {
    var value: Int32 = 0
    var size = socklen_t(4)
    let result = unsafe postern_getsockopt(fd, SOL_SOCKET, name, &value, &size)
    return (result, value)
  }

  func setOption(_ name: Int32, _ value: Int32) -> Int32 {
    var value = value
    return unsafe postern_setsockopt(fd, SOL_SOCKET, name, &value, 4)
  }

  /// Submits one read and collects what there is.
  func submitRead(_ count: Int, userData: UInt64) -> (taken: Int32, completed: [(UInt64, Int64)], bytes: [UInt8]) {
    var bytes = [UInt8](repeating: 0, count: count)
    var completed: [(UInt64, Int64)] = []
    let taken = unsafe bytes.withUnsafeMutableBytes { memory in
      var instruction = unsafe postern_instruction()
      unsafe instruction.operation = 1
      unsafe instruction.user_data = userData
      unsafe instruction.in = memory.baseAddress
      unsafe instruction.in_length = count
      let taken = unsafe postern_submit(fd, &instruction, 1)
      var completion = postern_completion()
      while unsafe postern_complete(fd, &completion, 1) == 1 {
        completed.append((completion.user_data, completion.result))
      }
      return taken
    }
    return (taken, completed, bytes)
  }
}

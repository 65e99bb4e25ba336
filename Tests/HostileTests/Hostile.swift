import Foundation
import TestSupport
import Glibc
import Instructions
import Wire

/// A process of another user that sends what a test tells it to, byte by byte (Programs/hostile.c).
final class Hostile {
  let socketPath: String
  private let process = Process()
  private let input = ChildProcess.pipe()
  private let output = ChildProcess.pipe()
  private var pending = Data()
  private var nextID: UInt64 = 1

  /// Who attacks: another user than the broker's where that is possible.
  static var userName: String { geteuid() == 0 ? "nobody" : NSUserName() }

  init(socket: String) throws {
    socketPath = socket
    let drop = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
    let line = (geteuid() == 0 ? drop : []) + [try Programs.path("hostile")]
    process.executableURL = URL(fileURLWithPath: line[0])
    process.arguments = Array(line.dropFirst())
    process.standardInput = input
    process.standardOutput = output
    try ChildProcess.start(process)
  }

  var pid: Int32 { process.processIdentifier }

  /// Says one line and gives the answer; "ended" where the program has.
  @discardableResult
  func callAsFunction(_ line: String) throws -> String {
    try tell(line)
    return heard()
  }

  func tell(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

  func heard() -> String {
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: pending[..<end], as: UTF8.self)
        pending = Data(pending[(end + 1)...])
        return line
      }
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { return "ended" }
      pending.append(more)
    }
  }

  /// It and its children end without another word.
  func end() {
    try? input.fileHandleForWriting.close()
    if process.isRunning {
      kill(pid, SIGCONT)
      kill(pid, SIGKILL)
    }
    process.waitUntilExit()
  }

  /// A control connection that has not said hello.
  func dial() throws -> Int {
    guard let socket = Int(try self("connect \(socketPath)")), socket >= 0 else {
      throw HarnessFailure(description: "no connection")
    }
    return socket
  }

  /// A control connection that has been welcomed.
  func connection() throws -> Int {
    let socket = try dial()
    guard case .welcome = try ask(.hello(Hello(client: "hostile")), on: socket) else {
      throw HarnessFailure(description: "no welcome")
    }
    return socket
  }

  @discardableResult
  func send(_ bytes: [UInt8], on socket: Int, attaching count: Int = 0, of descriptor: Int = 0) throws -> Int {
    let hex = bytes.isEmpty ? "-" : bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    return Int(try self("send \(socket) \(hex) \(count) \(descriptor)")) ?? -1
  }

  enum Received {
    case message([UInt8], descriptors: [Int])
    case closed
    case timeout
  }

  func receive(on socket: Int, timeout: Int = 5000) throws -> Received {
    let words = try self("receive \(socket) \(timeout)").split(separator: " ")
    guard let first = words.first, first != "closed", !first.hasPrefix("-") else { return .closed }
    if first == "timeout" { return .timeout }
    let digits = Array(first.utf8)
    let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
      UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
    }
    return .message(bytes, descriptors: words.dropFirst().compactMap { Int($0) })
  }

  /// Sends a request and decodes what answers it.
  func ask(_ request: Request, on socket: Int, attaching count: Int = 0, of descriptor: Int = 0) throws -> Reply {
    let id = nextID
    nextID += 1
    try send(try request.encode(id: id), on: socket, attaching: count, of: descriptor)
    return try reply(on: socket).reply
  }

  func reply(on socket: Int, timeout: Int = 5000) throws -> (reply: Reply, descriptors: [Int]) {
    switch try receive(on: socket, timeout: timeout) {
    case .message(let bytes, let descriptors): return (try Reply.decode(bytes.span).reply, descriptors)
    case .closed: throw HarnessFailure(description: "the connection is closed")
    case .timeout: throw HarnessFailure(description: "no answer")
    }
  }

  struct Channel {
    var opened: Opened
    var socket: Int
  }

  /// Both messages of an open.
  func open(_ object: String, operations: OperationSet = [], on connection: Int) throws -> Channel {
    let (reply, descriptors) = try tryOpen(object, operations: operations, on: connection)
    guard case .opened(let opened) = reply, let socket = descriptors.first else {
      throw HarnessFailure(description: "not opened: \(reply)")
    }
    return Channel(opened: opened, socket: socket)
  }

  func tryOpen(_ object: String, operations: OperationSet = [], on connection: Int) throws
    -> (reply: Reply, descriptors: [Int])
  {
    let first = try ask(.open(Open(object: object, operations: operations)), on: connection)
    guard case .challenge(let nonce) = first else { return (first, []) }
    try send(try Request.confirm(nonce).encode(id: 1000), on: connection)
    return try reply(on: connection)
  }

  /// One datagram of instructions.
  static func datagram(_ frames: [InstructionFrame], payload: [UInt8] = []) throws -> [UInt8] {
    let start = InstructionBatch.payloadOffset(count: frames.count)
    var bytes = [UInt8](repeating: 0, count: start) + payload
    var span = bytes.mutableSpan
    var end = start
    for (index, frame) in frames.enumerated() {
      var placed = frame
      placed.payload = end..<(end + frame.payload.count)
      end = placed.payload.upperBound
      try placed.encode(into: &span, index: index)
    }
    try InstructionBatch.encodeHeader(count: frames.count, payload: payload.count, into: &span)
    return bytes
  }

  /// The completions of one datagram, notifications left out.
  func completions(on socket: Int, timeout: Int = 5000) throws -> [CompletionFrame] {
    while true {
      guard case .message(let bytes, _) = try receive(on: socket, timeout: timeout) else {
        throw HarnessFailure(description: "no completion")
      }
      var batch = try CompletionBatch(decoding: bytes.span)
      var found: [CompletionFrame] = []
      while let frame = try batch.next(bytes.span) { if frame.kind == .completion { found.append(frame) } }
      if !found.isEmpty { return found }
    }
  }

  /// One transfer of one byte.
  func transfer(on socket: Int, cookie: UInt64 = 7) throws -> CompletionFrame {
    try send(try Hostile.transferDatagram(cookie: cookie), on: socket)
    guard let only = try completions(on: socket).first else { throw HarnessFailure(description: "no completion") }
    return only
  }

  /// Opens a socket object and makes it listen.
  func listening(_ object: String, on connection: Int) throws -> Channel {
    let channel = try open(object, on: connection)
    for opcode in [Opcode.bind, .listen] {
      let frame = InstructionFrame(action: .perform(opcode), cookie: 1, operands: Operands(length: 16))
      try send(try Hostile.datagram([frame]), on: channel.socket)
      let result = try completions(on: channel.socket).first?.result
      guard result == 0 else { throw HarnessFailure(description: "\(opcode): \(String(describing: result))") }
    }
    return channel
  }

  static func transferDatagram(cookie: UInt64 = 7) throws -> [UInt8] {
    try datagram(
      [
        InstructionFrame(
          action: .perform(.transfer), cookie: cookie, operands: Operands(length: 1), payload: 0..<1)
      ], payload: [0])
  }
}

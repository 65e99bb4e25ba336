import Foundation
import Instructions
import Linux
import Synchronization
import Wire

/// A peer that speaks the protocol, or breaks it in one chosen way, without any authority of its own.
final class FakeBroker: Sendable {
  /// Answers one datagram of instructions on a channel, with any number of datagrams.
  typealias Answerer = @Sendable (_ frames: [Frame], _ channel: FakeChannel) -> Void
  /// Answers a control request in another way than `control` does; nil: the usual way.
  typealias Interception = @Sendable (FakeBroker, _ request: Request, _ id: UInt64, _ socket: ClientDescriptor) -> Bool

  struct Frame: Sendable {
    var frame: InstructionFrame
    var payload: [UInt8]

    var opcode: Opcode? { if case .perform(let opcode) = frame.action { opcode } else { nil } }
  }

  let path: String
  let answer: Answerer
  let intercept: Interception
  let kind: ObjectKind
  let operations: OperationSet
  let listener: Descriptor
  private let running = Atomic<Bool>(true)
  let connections = Atomic<Int>(0)
  let opens = Atomic<Int>(0)

  init(
    kind: ObjectKind = .disk, operations: OperationSet = [],
    intercept: @escaping Interception = { _, _, _, _ in false },
    answer: @escaping Answerer
  ) throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("postern-\(UUID().uuidString)").path
    self.kind = kind
    self.operations = operations.isEmpty ? kind.operations : operations
    self.answer = answer
    self.intercept = intercept
    listener = try MessageSocket.listen(at: path, mode: 0o600)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Runs `body` while connections are served.
  func serving<Value>(_ body: () throws -> Value) throws -> Value {
    let thread = try Thread("fake-broker") { [self] in
      while running.load(ordering: .relaxed) {
        guard (try? isReadable(listener.rawValue, timeoutMilliseconds: 20)) == true,
          case .ready(let connection)? = try? MessageSocket.accept(listener.rawValue)
        else { continue }
        connections.add(1, ordering: .relaxed)
        try? serve(connection)
      }
    }
    let result = Swift.Result { try body() }
    running.store(false, ordering: .relaxed)
    thread.join()
    return try result.get()
  }

  private func serve(_ connection: consuming Descriptor) throws {
    let socket = try ClientDescriptor(connection, inChild: .closed)
    _ = try Thread("fake-control") { [self] in
      var buffer = [UInt8](repeating: 0, count: Bounds.controlMessage)
      while running.load(ordering: .relaxed) {
        guard (try? isReadable(socket.number, timeoutMilliseconds: 20)) == true else { continue }
        guard case .ready(let message)? = try? socket.receive(into: &buffer, blocking: true), message.count > 0,
          let (id, request) = try? Request.decode(buffer.span.extracting(first: message.count))
        else { return }
        if !intercept(self, request, id, socket) { control(request, id, socket) }
      }
    }
  }

  private func control(_ request: Request, _ id: UInt64, _ socket: ClientDescriptor) {
    switch request {
    case .hello: send(.welcome(Welcome(broker: "fake", features: [.mediated], admin: false)), id, socket)
    case .open, .revalidate: send(.challenge(Nonce(low: 1, high: 2)), id, socket)
    case .confirm:
      let channel = opens.add(1, ordering: .relaxed).newValue
      guard let theirs = try? channelSocket() else { return }
      let opened = Opened(
        association: AssociationID(rawValue: 1), channel: UInt64(channel), object: ObjectID(rawValue: 1), kind: kind,
        path: .mediated, operations: operations, generation: 1, expiry: 0, rangeLength: 0,
        maximumPayload: UInt32(Bounds.payload))
      send(.opened(opened), id, socket, descriptor: theirs.rawValue)
    case .adopt:
      guard let theirs = try? channelSocket() else { return }
      let adopted = Adopted(
        channel: 99, object: ObjectID(rawValue: 1), kind: kind, path: .mediated, operations: operations,
        generation: 1, rangeLength: 0, maximumPayload: UInt32(Bounds.payload))
      send(.adopted(adopted), id, socket, descriptor: theirs.rawValue)
    default: send(.failed(Failure(errno: EOPNOTSUPP, text: "not here")), id, socket)
    }
  }

  private func channelSocket() throws -> Descriptor {
    let pair = try MessageSocket.pair(bufferSize: 1 << 20)
    let theirs = try pair.second.duplicate()
    let channel = FakeChannel(try ClientDescriptor(pair.first.duplicate(), inChild: .closed))
    _ = try Thread("fake-channel") { [self] in channel.serve(answer) { running.load(ordering: .relaxed) } }
    return theirs
  }

  func send(_ reply: Reply, _ id: UInt64, _ socket: ClientDescriptor, descriptor: Int32? = nil) {
    guard let bytes = try? reply.encode(id: id) else { return }
    let nothing: [UInt8] = []
    _ = try? socket.send(bytes.span, nothing.span, descriptor: descriptor, blocking: true)
  }
}

/// The broker's end of a channel.
final class FakeChannel: Sendable {
  let socket: ClientDescriptor

  init(_ socket: ClientDescriptor) { self.socket = socket }

  func serve(_ answer: FakeBroker.Answerer, while running: () -> Bool) {
    var buffer = [UInt8](repeating: 0, count: Bounds.instructionDatagram)
    while running() {
      guard (try? isReadable(socket.number, timeoutMilliseconds: 20)) == true else { continue }
      guard case .ready(let message)? = try? socket.receive(into: &buffer, blocking: true), message.count > 0 else {
        return
      }
      let bytes = Array(buffer[..<message.count])
      guard var batch = try? InstructionBatch(decoding: bytes.span) else { return }
      var frames: [FakeBroker.Frame] = []
      while let frame = try? batch.next(bytes.span) {
        frames.append(FakeBroker.Frame(frame: frame, payload: Array(bytes[frame.payload])))
      }
      answer(frames, self)
    }
  }

  /// One datagram of any bytes.
  func send(_ bytes: [UInt8], descriptor: Int32? = nil) {
    let nothing: [UInt8] = []
    _ = try? socket.send(bytes.span, nothing.span, descriptor: descriptor, blocking: true)
  }

  /// One datagram of completions.
  func complete(_ frames: [(CompletionFrame, [UInt8])], descriptor: Int32? = nil) {
    guard !frames.isEmpty else { return }
    send(FakeChannel.encode(frames), descriptor: descriptor)
  }

  func complete(_ frame: CompletionFrame, _ payload: [UInt8] = []) { complete([(frame, payload)]) }

  static func encode(_ frames: [(CompletionFrame, [UInt8])]) -> [UInt8] {
    let payload = frames.flatMap(\.1)
    var bytes = [UInt8](repeating: 0, count: CompletionBatch.payloadOffset(count: frames.count))
    var span = bytes.mutableSpan
    for (index, entry) in frames.enumerated() {
      var frame = entry.0
      frame.payload = 0..<entry.1.count
      try? frame.encode(into: &span, index: index)
    }
    _ = try? CompletionBatch.encodeHeader(count: frames.count, payload: payload.count, into: &span)
    return bytes + payload
  }
}

extension FakeBroker.Frame {
  /// Executed: `result` bytes, or those of the payload.
  func done(_ payload: [UInt8] = [], result: Int64? = nil) -> (CompletionFrame, [UInt8]) {
    (CompletionFrame(cookie: frame.cookie, result: result ?? Int64(payload.count)), payload)
  }
}

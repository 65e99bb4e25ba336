import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Synchronization
import Testing
import Wire

/// An object that does what a test tells it: reads answer zeros, accepts wait until it is told to be ready, flushes block.
final class FakeObject: OpenObject {
  let isReady = Atomic(false)
  let performed = Atomic(0)
  let performedBlocking = Atomic(0)
  /// Holds up pool threads until it is given back.
  let gate = Mutex(())
  private let event: EventDescriptor

  init() throws { event = try EventDescriptor() }

  var readiness: Int32? { event.descriptor.rawValue }
  var footprint: Footprint? { nil }

  func perform(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    switch grant.instruction.opcode {
    case .flush: return .blocks(grant)
    case .accept where !isReady.load(ordering: .relaxed): return .wouldBlock(.readable)
    case .read:
      for _ in 0..<min(Int(clamping: grant.instruction.operands.length), output.freeCapacity) {
        output.append(UInt8(0))
      }
      performed.add(1, ordering: .relaxed)
      return .done(UInt64(output.byteCount))
    default:
      performed.add(1, ordering: .relaxed)
      return .done(0)
    }
  }

  func performBlocking(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    gate.withLock { _ in }
    performedBlocking.add(1, ordering: .relaxed)
    return .done(0)
  }
}

/// What the interpreter told its observer.
final class Notes: InterpreterObserver {
  var refusals: [Reason] = []
  var uses = 0
  var room = Int.max
  var tokens: UInt64 = 0
  var queued = 0

  func refused(_ refusal: Refusal, _ instruction: Instruction, issuer: Issuer, channel: ObjectChannel) {
    refusals.append(refusal.reason)
  }
  func used(_ instruction: Instruction, issuer: Issuer, channel: ObjectChannel) { uses += 1 }
  func exceededQuota(_ instruction: Instruction, association: AssociationID?, channel: ObjectChannel) -> Refusal? {
    nil
  }
  func mayWait(_ channel: ObjectChannel) -> Bool {
    guard room > 0 else { return false }
    room -= 1
    return true
  }
  func waited(_ channel: ObjectChannel, count: Int) { room += count }
  func nextToken(for channel: ObjectChannel) -> UInt64 {
    tokens += 1
    return tokens
  }
  func forget(token: UInt64) {}
  func watch(_ session: Mediation.Session) {}
  func congested(_ channel: ObjectChannel, queued bytes: Int) { queued += bytes }
  func drained(_ channel: ObjectChannel, bytes: Int) { queued -= bytes }
}

/// One object, one channel, and a holder and its child.
final class Bench {
  let entity: SimulatedEntity
  let pool: EffectPool
  let fake: FakeObject
  let channel: ObjectChannel
  let application: Descriptor
  let notes = Notes()
  let association: AssociationRecord
  var interpreter: Interpreter

  static let holder = ProcessResource(tgid: 100, start: 1)
  static let child = ProcessResource(tgid: 101, start: 2)
  static let object = ObjectID(rawValue: 1)

  init(expiry: UInt64 = 0, threads: Int = 1) throws {
    let entity = try SimulatedEntity()
    let pool = try EffectPool(threads: threads, capacity: 16)
    let fake = try FakeObject()
    let all = OperationSet([.accept, .read, .flush, .listen])
    let generation = try entity.addObject(
      ObjectRecord(id: Bench.object, kind: .socket, operations: .all, exclusive: false, footprint: nil))
    association = try entity.associate(
      AssociationRequest(
        process: Bench.holder, object: Bench.object, application: ApplicationID(rawValue: 1), generation: generation,
        requested: all, granted: all, expiry: expiry), now: 1)
    let ends = try MessageSocket.pair()
    self.entity = entity
    self.pool = pool
    self.fake = fake
    let session = Mediation.Session(id: 1, objectID: Bench.object, object: fake)
    channel = ObjectChannel(
      id: 1, socket: ends.first, session: session, ownerUID: 1, applicationName: "a", objectName: "o")
    application = ends.second
    interpreter = Interpreter(entity: entity, pool: pool)
  }

  func send(
    _ frames: [InstructionFrame], from process: ProcessResource = Bench.holder, now: UInt64 = 1
  ) throws {
    var bytes = [UInt8](repeating: 0, count: InstructionBatch.payloadOffset(count: frames.count))
    var span = bytes.mutableSpan
    for (index, frame) in frames.enumerated() { try frame.encode(into: &span, index: index) }
    try InstructionBatch.encodeHeader(count: frames.count, payload: 0, into: &span)
    var buffer = MessageBuffer(capacity: bytes.count)
    buffer.append(bytes)
    let (channel, notes) = (channel, notes)
    try buffer.withSpans { elements, raw in
      try interpreter.interpret(elements, raw, on: channel, issuer: process, now: now, observer: notes)
    }
  }

  func resume(_ ready: PollEvents = .readable) {
    let channel = channel
    interpreter.resume(channel.session, ready: ready, channels: { _ in channel }, now: 1, observer: notes)
  }

  /// Everything that the application's end has received, and how many descriptors came with it.
  func received() throws -> [CompletionFrame] {
    var buffer = MessageBuffer(capacity: Bounds.completionDatagram)
    var found: [CompletionFrame] = []
    while case .ready(let message) = try MessageSocket.receive(application.rawValue, into: &buffer), message.count > 0 {
      found += try buffer.withSpan { span in
        var batch = try CompletionBatch(decoding: span)
        var frames: [CompletionFrame] = []
        while let frame = try batch.next(span) { frames.append(frame) }
        return frames
      }
    }
    return found
  }
}

extension InstructionFrame {
  init(_ opcode: Opcode, _ cookie: UInt64, length: UInt64 = 0) {
    self.init(action: .perform(opcode), cookie: cookie, operands: Operands(length: length))
  }

  static func cancel(_ target: UInt64, _ cookie: UInt64) -> InstructionFrame {
    InstructionFrame(action: .cancel, cookie: cookie, operands: Operands(offset: target))
  }

  static func arm(_ cookie: UInt64) -> InstructionFrame {
    InstructionFrame(action: .arm, cookie: cookie, operands: Operands(request: Wire.Readiness.input.rawValue))
  }
}

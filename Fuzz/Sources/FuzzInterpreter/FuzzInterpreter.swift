import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Synchronization
import Wire

/// One datagram from a stranger, from a holder of everything and from one of little: nothing is performed for the
/// stranger, and every reply is well-formed.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  // SAFETY: libFuzzer gives `count` readable bytes for the time of the call; they are copied here.
  let datagram = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard count <= Bounds.instructionDatagram else { return 0 }
  do {
    let world = try World.shared.get()
    let performed = try world.interpret(datagram, from: World.stranger)
    precondition(performed == 0, "an effect without an association")
    _ = try world.interpret(datagram, from: World.reader)
    _ = try world.interpret(datagram, from: World.holder)
  } catch { preconditionFailure("\(error)") }
  return 0
}

/// An entity that lives as long as the fuzzer, with two holders.
final class World: Sendable {
  static let shared = Result { try World() }
  static let object = ObjectID(rawValue: 1)
  static let stranger = ProcessResource(tgid: 1, start: 1)
  static let reader = ProcessResource(tgid: 2, start: 1)
  static let holder = ProcessResource(tgid: 3, start: 1)

  private let entity: SimulatedEntity

  private init() throws {
    entity = try SimulatedEntity()
    let generation = try entity.addObject(
      ObjectRecord(id: Self.object, kind: .disk, operations: .all, exclusive: false, footprint: nil))
    for (process, operations) in [(Self.reader, OperationSet([.read])), (Self.holder, .all)] {
      _ = try entity.associate(
        AssociationRequest(
          process: process, object: Self.object, application: ApplicationID(rawValue: 1), generation: generation,
          requested: operations, granted: operations), now: 1)
    }
  }

  /// Sends one datagram, takes every reply, lets the object become ready once, and says how many effects there were.
  func interpret(_ datagram: [UInt8], from process: ProcessResource) throws -> Int {
    let object = MemoryObject()
    var pair = Optional(try MessageSocket.pair())
    guard let ends = pair.take() else { return 0 }
    let channel = ObjectChannel(
      id: 1, socket: ends.first, session: Mediation.Session(id: 1, objectID: Self.object, object: object), ownerUID: 1,
      applicationName: "a", objectName: "o")
    let application = ends.second
    let notes = Notes()
    var interpreter = Interpreter(entity: entity, pool: try EffectPool(capacity: 1024))
    var buffer = MessageBuffer(capacity: max(datagram.count, 1))
    buffer.append(datagram)
    do {
      try buffer.withSpans { (elements, bytes) throws(WireError) in
        try interpreter.interpret(elements, bytes, on: channel, issuer: process, now: 1, observer: notes)
      }
    } catch {
      precondition(object.performed == 0, "something was performed of a datagram that is malformed")
      return 0
    }
    interpreter.resume(channel.session, ready: .readable, channels: { _ in channel }, now: 1, observer: notes)
    interpreter.abandon(channel, process: process, reason: .revoked, observer: notes)
    precondition(channel.parked.isEmpty, "something waits for a process that has nothing")
    try takeReplies(application)
    while channel.isCongested {
      try interpreter.drain(channel, observer: notes)
      try takeReplies(application)
    }
    return object.performed
  }

  private func takeReplies(_ application: borrowing Descriptor) throws {
    var buffer = MessageBuffer(capacity: Bounds.completionDatagram)
    while case .ready(let message) = try MessageSocket.receive(application.rawValue, into: &buffer), message.count > 0 {
      try buffer.withSpan { span in
        var batch = try CompletionBatch(decoding: span)
        while try batch.next(span) != nil {}
      }
    }
  }
}

/// Answers everything at once, but accepts and waits wait and flushes block.
final class MemoryObject: OpenObject {
  private let effects = Atomic(0)
  var performed: Int { effects.load(ordering: .relaxed) }
  var readiness: Int32? { 0 }
  var footprint: Footprint? { nil }

  func perform(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    effects.add(1, ordering: .relaxed)
    switch grant.instruction.opcode {
    case .accept, .wait: return .wouldBlock(.readable)
    case .flush: return .blocks(grant)
    case .read, .transfer, .control:
      let wanted = min(Int(clamping: grant.instruction.operands.length), output.freeCapacity)
      for _ in 0..<wanted { output.append(7, as: UInt8.self) }
      return .done(UInt64(wanted))
    case .receive: return .received(UInt64.max, from: nil)
    case .discard: return .failed(errno: 5)
    default: return .done(.max)
    }
  }

  func performBlocking(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    .done(0)
  }
}

/// Keeps nothing but the tokens.
final class Notes: InterpreterObserver {
  private var tokens: UInt64 = 0
  func refused(_ refusal: Refusal, _ instruction: Instruction, issuer: Issuer, channel: ObjectChannel) {}
  func used(_ instruction: Instruction, issuer: Issuer, channel: ObjectChannel) {}
  func exceededQuota(_ instruction: Instruction, association: AssociationID?, channel: ObjectChannel) -> Refusal? {
    nil
  }
  func mayWait(_ channel: ObjectChannel) -> Bool { true }
  func waited(_ channel: ObjectChannel, count: Int) {}
  func nextToken(for channel: ObjectChannel) -> UInt64 {
    tokens += 1
    return tokens
  }
  func forget(token: UInt64) {}
  func watch(_ session: Mediation.Session) {}
  func congested(_ channel: ObjectChannel, queued bytes: Int) {}
  func drained(_ channel: ObjectChannel, bytes: Int) {}
}

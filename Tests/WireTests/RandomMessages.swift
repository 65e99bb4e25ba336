import Instructions
import struct TestSupport.SplitMix
import Testing

@testable import Wire

/// Runs `body` for `rounds` rounds on random numbers; the first error is recorded with the seed that repeats it.
func withRandom(rounds: Int, _ body: (inout Seeded) throws -> Void) {
  let seed = UInt64.random(in: .min ... .max)
  var random = Seeded(seed: seed)
  for round in 0..<rounds {
    do { try body(&random) } catch {
      Issue.record(error, "seed \(seed), round \(round)")
      return
    }
  }
}

typealias Seeded = SplitMix

extension SplitMix {
  init(seed: UInt64) { self.init(state: seed) }

  mutating func any<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type = T.self) -> T {
    // Boundaries are where codecs go wrong: every fourth number is one of the two ends.
    switch Int.random(in: 0..<8, using: &self) {
    case 0: 0
    case 1: .max
    default: .random(in: .min ... .max, using: &self)
    }
  }

  mutating func flip() -> Bool { Bool.random(using: &self) }

  mutating func pick<T>(_ values: [T]) -> T { values[Int.random(in: values.indices, using: &self)] }

  mutating func pick<T: CaseIterable>(_ type: T.Type = T.self) -> T { pick(Array(T.allCases)) }

  mutating func operations() -> OperationSet {
    OperationSet(rawValue: any(UInt32.self) & OperationSet.all.rawValue)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
  }

  /// Up to `bound` bytes of UTF-8 with characters of one to four bytes.
  mutating func string(_ bound: Int) -> String {
    let alphabet = ["a", "/", "\u{1}", "\u{7F}", "é", "€", "𝄞", "\n", " "]
    // The bound itself is tried often enough at one in eight, and is slow to fill.
    let short = Int.random(in: 0...min(bound, 20), using: &self)
    let length = Int.random(in: 0..<8, using: &self) == 0 ? bound : short
    var text = ""
    while true {
      let next = pick(alphabet)
      if text.utf8.count + next.utf8.count > length { break }
      text += next
    }
    return text
  }

  mutating func name() -> String { string(Bounds.name) }
  mutating func text() -> String { string(flip() ? 60 : Bounds.text) }
}

extension Seeded {
  mutating func calls() -> NotifiedCalls { NotifiedCalls(rawValue: any() & NotifiedCalls.all.rawValue) }

  mutating func request(_ kind: Request.Kind) -> Request {
    switch kind {
    case .hello: .hello(Hello(version: max(1, any()), client: name()))
    case .open:
      .open(
        Open(
          object: name(), operations: operations(), path: flip() ? nil : pick(OperationPath.self),
          accepts: PathSet(rawValue: any() & Open.choices.rawValue)))
    case .confirm: .confirm(Nonce(low: any(), high: any()))
    case .adopt: .adopt
    case .revalidate: .revalidate(channel: any())
    case .status: .status
    case .doctor: .doctor
    case .objects: .objects(ObjectQuery(name: name(), cursor: any()))
    case .associations:
      .associations(AssociationQuery(object: name(), application: name(), pid: any(), cursor: any()))
    case .canI:
      .canI(CanI(operations: operations(), object: name(), uid: flip() ? nil : any(), executable: text()))
    case .revoke:
      .revoke(
        Revoke(
          object: name(), application: name(), pid: any(), association: flip() ? nil : AssociationID(rawValue: any()),
          all: flip(), timeout: any()))
    case .grant:
      .grant(GrantOrder(application: name(), object: name(), operations: operations(), expires: any()))
    case .reload: .reload
    case .auditRead: .auditRead(AuditRead(mode: pick(), after: any(), limit: any()))
    case .plan: .plan(PlanQuery(object: name(), cursor: any()))
    case .supervise: .supervise(calls())
    case .handOver: .handOver(HandOver(object: name(), operations: operations()))
    case .revalidateObject: .revalidateObject(name())
    case .release: .release(AssociationID(rawValue: any()), ring: any())
    case .enrol: .enrol(Enrol(nonce: Nonce(low: any(), high: any()), ring: any()))
    }
  }

  mutating func reply(_ kind: Reply.Kind) throws -> Reply {
    switch kind {
    case .refused: .refused(RefusedReply(refusal(), errno: Int32.random(in: 1 ... .max, using: &self)))
    case .failed: .failed(Failure(errno: Int32.random(in: 1 ... .max, using: &self), text: text()))
    case .welcome:
      .welcome(
        Welcome(
          version: max(1, any()), broker: name(), features: Features(rawValue: any() & Features.defined), admin: flip()
        ))
    case .challenge: .challenge(Nonce(low: any(), high: any()))
    case .opened:
      .opened(
        Opened(
          association: AssociationID(rawValue: any()), channel: any(), object: ObjectID(rawValue: any()), kind: pick(),
          path: pick(), operations: operations(), generation: any(), expiry: any(), rangeLength: any(),
          maximumPayload: any()))
    case .adopted:
      .adopted(
        Adopted(
          channel: any(), object: ObjectID(rawValue: any()), kind: pick(), path: pick(), operations: operations(),
          generation: any(), rangeLength: any(), maximumPayload: any()))
    case .revalidated:
      .revalidated(
        Revalidated(
          association: AssociationID(rawValue: any()), operations: operations(), generation: any(), expiry: any()))
    case .status: .status(try page { StatusRow(key: $0.name(), value: $0.text()) })
    case .doctor: .doctor(try page { DoctorRow(subject: $0.name(), state: $0.pick(), why: $0.text()) })
    case .objects: .objects(try page { $0.objectRow() })
    case .associations: .associations(try page { $0.associationRow() })
    case .verdict: .verdict(verdict())
    case .revocations: .revocations(try page { $0.revocationRow() })
    case .done: .done
    case .mistakes:
      .mistakes(
        try page {
          MistakeRow(file: $0.text(), line: $0.any(), column: $0.any(), severity: $0.pick(), text: $0.text())
        })
    case .records:
      .records(
        try page { generator in
          AuditRow(bytes: generator.bytes(generator.pick([0, 1, 300, Bounds.record])))
        })
    case .plan: .plan(try page { $0.planRow() })
    case .supervised: .supervised
    case .ringWanted: .ringWanted(Nonce(low: any(), high: any()))
    case .enrolled:
      .enrolled(
        Enrolled(
          association: AssociationID(rawValue: any()), object: ObjectID(rawValue: any()), kind: pick(), slot: any(),
          operations: operations(), generation: any(), expiry: any(), rangeLength: any(), opcodes: any(),
          ring: any()))
    }
  }

  /// As many random rows as a random number up to 30, or as fit.
  private mutating func page<R: Row>(_ row: (inout Seeded) -> R) throws -> Page<R> {
    var page = Page<R>(next: any())
    for _ in 0..<Int.random(in: 0...30, using: &self) where try !page.append(row(&self)) { break }
    return page
  }

  private mutating func refusal() -> Refusal { Refusal(pick(), detail: pick(), message: text()) }

  private mutating func verdict() -> CanIVerdict {
    let refused = flip()
    return CanIVerdict(
      reason: refused ? pick(Reason.self) : nil, detail: refused ? pick() : .none,
      errno: refused ? Int32.random(in: 1 ... .max, using: &self) : 0, application: name(), object: name(),
      operations: operations(), path: flip() ? nil : pick(OperationPath.self), message: text())
  }

  private mutating func objectRow() -> ObjectRow {
    ObjectRow(
      object: ObjectID(rawValue: any()), name: name(), kind: pick(), operations: operations(), generation: any(),
      associations: any(), specification: text(), unavailable: text())
  }

  private mutating func associationRow() -> AssociationRow {
    AssociationRow(
      association: AssociationID(rawValue: any()), object: name(), application: name(),
      process: ProcessResource(tgid: any(), start: any(), execEpoch: any()), path: pick(), operations: operations(),
      generation: any(), since: any(), expiry: any(), state: pick())
  }

  private mutating func planRow() -> PlanRow {
    PlanRow(
      object: name(), kind: pick(), specification: text(), application: name(), operations: operations(), path: pick(),
      calls: calls(), executable: text(), refusal: flip() ? nil : pick(Reason.self), why: text())
  }

  private mutating func revocationRow() -> RevocationRow {
    let outcome: RevocationRow.Outcome = pick([.recalled, .running(max(1, any())), .cannotRecall(why: text())])
    return RevocationRow(
      association: AssociationID(rawValue: any()), object: name(), application: name(), pid: any(), path: pick(),
      outcome: outcome)
  }
}

extension Seeded {
  mutating func address() -> NetworkAddress {
    let family = flip() ? NetworkAddress.Family.ipv4 : .ipv6
    var content = InlineArray<16, UInt8>(repeating: 0)
    for index in 0..<(family == .ipv4 ? 4 : 16) { content[index] = any() }
    return NetworkAddress(family: family, bytes: content, port: any())
  }

  mutating func instructions() -> Datagram<InstructionFrame> {
    var datagram = Datagram<InstructionFrame>(frames: [], payload: [])
    for _ in 0..<pick([1, 2, 7, Bounds.batch]) {
      let action = pick([.cancel, .arm] + Opcode.allCases.map { InstructionFrame.Action.perform($0) })
      var payload = 0
      var operands = Operands(offset: any(), length: any(), request: any())
      switch action {
      case .perform(.write), .perform(.send), .perform(.setoption):
        payload = pick([0, 1, 9, 500])
        operands.length = UInt64(payload)
      case .perform(.transfer), .perform(.control): payload = pick([0, 1, 9, 500])
      case .arm: operands.request = max(1, any() & Readiness.defined)
      default: break
      }
      if action == .perform(.connect) || action == .perform(.send), flip() { operands.address = address() }
      datagram.frames.append(
        InstructionFrame(
          action: action, flags: InstructionFlags(rawValue: any() & InstructionFlags.defined), cookie: any(),
          operands: operands, payload: 0..<payload))
      datagram.payload += bytes(payload)
    }
    return datagram.placed
  }

  mutating func completions() -> Datagram<CompletionFrame> {
    var datagram = Datagram<CompletionFrame>(frames: [], payload: [])
    for _ in 0..<pick([1, 2, 7, Bounds.batch]) {
      let frame = completion()
      datagram.frames.append(frame)
      datagram.payload += bytes(frame.payload.count)
    }
    return datagram.placed
  }

  private mutating func completion() -> CompletionFrame {
    switch pick(CompletionFrame.Kind.self) {
    case .ready:
      CompletionFrame(kind: .ready, cookie: any(), result: max(1, Int64(any(UInt32.self) & Readiness.defined)))
    case .changed:
      CompletionFrame(kind: .changed, cookie: 0, result: 0, reason: pick(), detail: pick())
    case .completion where flip():
      CompletionFrame(
        flags: flip() ? .truncated : [], cookie: any(), result: Int64.random(in: .min ... -1, using: &self),
        reason: pick(), detail: pick(), address: flip() ? address() : nil)
    case .completion:
      CompletionFrame(
        flags: CompletionFlags(rawValue: any() & CompletionFlags.defined), cookie: any(),
        result: Int64(bitPattern: any()), address: flip() ? address() : nil, payload: 0..<pick([0, 1, 9, 500]))
    }
  }
}

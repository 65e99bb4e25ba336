import FakeKernel
import Foundation
import Instructions
import Linux
import Postern
import Synchronization
import Testing
import Wire

/// A broker that gives out descriptors of the test's own on the path direct, and never opens anything itself.
final class FakeDirect: Sendable {
  struct State {
    var opens: [Open] = []
    /// Names that were asked for by name.
    var revalidations: [String] = []
    var released: [AssociationID] = []
    /// What the next `confirm` on a connection is for.
    var revalidates: [ObjectIdentifier: Bool] = [:]
  }

  let state = Mutex(State())
  let kind: ObjectKind
  let operations: OperationSet
  let length: UInt64
  let path: OperationPath
  let channel: UInt64
  /// What a revalidation is answered with; nil: an association.
  let second: Refusal?
  let answersRelease: Bool
  let make: @Sendable () throws -> Descriptor

  init(
    _ kind: ObjectKind, operations: OperationSet? = nil, length: UInt64 = 0, path: OperationPath = .direct,
    channel: UInt64 = 0, second: Refusal? = nil, answersRelease: Bool = true,
    _ make: @escaping @Sendable () throws -> Descriptor
  ) {
    self.kind = kind
    self.operations = operations ?? kind.operations
    self.length = length
    self.path = path
    self.channel = channel
    self.second = second
    self.answersRelease = answersRelease
    self.make = make
  }

  func broker() throws -> FakeBroker {
    try FakeBroker(
      intercept: { [self] broker, request, id, socket in answer(broker, request, id, socket) }, answer: { _, _ in })
  }

  /// Runs `body` with the object open.
  func opened(_ body: (DirectObject) throws -> Void) throws {
    let broker = try broker()
    try broker.serving {
      let object = try PosternConnection(path: broker.path).open("object")
      try body(try #require(object as? DirectObject))
    }
  }

  func answer(_ broker: FakeBroker, _ request: Request, _ id: UInt64, _ socket: ClientDescriptor) -> Bool {
    switch request {
    case .open(let open):
      state.withLock { state in
        state.opens.append(open)
        state.revalidates[ObjectIdentifier(socket)] = false
      }
      return false
    case .revalidateObject(let name):
      state.withLock { state in
        state.revalidations.append(name)
        state.revalidates[ObjectIdentifier(socket)] = true
      }
      if let second {
        broker.send(.refused(RefusedReply(second)), id, socket)
      } else {
        broker.send(.challenge(Nonce(low: 1, high: 2)), id, socket)
      }
    case .confirm:
      let (count, revalidates) = state.withLock {
        ($0.revalidations.count, $0.revalidates[ObjectIdentifier(socket)] == true)
      }
      if revalidates {
        let reply = Revalidated(
          association: AssociationID(rawValue: 100 + UInt64(count)), operations: operations, generation: 1, expiry: 0)
        broker.send(.revalidated(reply), id, socket)
      } else if let descriptor = try? make() {
        let opened = Opened(
          association: AssociationID(rawValue: 5), channel: channel, object: ObjectID(rawValue: 1), kind: kind,
          path: path, operations: operations, generation: 1, expiry: 0, rangeLength: length)
        broker.send(.opened(opened), id, socket, descriptor: descriptor.rawValue)
      }
    case .release(let association, _):
      state.withLock { $0.released.append(association) }
      if answersRelease { broker.send(.done, id, socket) }
    default: return false
    }
    return true
  }
}

/// A file of these bytes without a name.
func scratchFile(_ bytes: [UInt8]) throws -> Descriptor {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("postern-\(UUID().uuidString)").path
  try Data(bytes).write(to: URL(fileURLWithPath: path))
  defer { try? FileManager.default.removeItem(atPath: path) }
  return try Descriptor.pin(path).reopen(.readWrite)
}

/// What a check like the kernel's says to the calls of one thread on one descriptor, and of the children that it forks.
final class FakeCheck: Sendable {
  /// An errno, or 0 where the call is allowed.
  typealias Verdict = @Sendable (_ operation: Opcode, _ isChild: Bool) -> Int32

  private let verdict: Verdict
  private let running = Atomic<Bool>(true)
  /// Calls that were checked.
  let calls = Mutex<[Opcode]>([])

  init(_ verdict: @escaping Verdict) { self.verdict = verdict }

  /// Runs `body` on a thread of its own whose calls on `number` are checked.
  func checking(_ number: Int32, _ body: @escaping @Sendable () throws -> Void) throws {
    let outcome = Mutex<Result<Void, any Error>>(.failure(ToolFailure(text: "the thread did not run")))
    let thread = try Thread("checked") { [self] in
      let result = Result { try check(number, body) }
      outcome.withLock { $0 = result }
    }
    thread.join()
    try outcome.withLock { try $0.get() }
  }

  private func check(_ number: Int32, _ body: @Sendable () throws -> Void) throws {
    let listener = fake_kernel_install(number)
    guard listener >= 0 else { throw ToolFailure(text: "no filter: \(SystemError.message(of: -listener))") }
    let held = Descriptor(adopting: listener)
    let own = fake_kernel_thread()
    let kernel = try Thread("fake-kernel") { [self] in
      while running.load(ordering: .relaxed) {
        let call = fake_kernel_receive(listener, 20)
        guard let operation = Opcode(rawValue: UInt8(clamping: call.operation)), call.operation >= 0 else { continue }
        calls.withLock { $0.append(operation) }
        fake_kernel_answer(listener, call.id, verdict(operation, call.pid != own))
      }
    }
    let result = Result { try body() }
    running.store(false, ordering: .relaxed)
    kernel.join()
    _ = consume held
    try result.get()
  }
}

struct ToolFailure: Error { var text: String }

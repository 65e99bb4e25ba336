import Authority
import Foundation
import Instructions
import Linux
import Objects
import Synchronization
import Testing

/// What a test sees of an effect.
enum Outcome: Equatable {
  case done(UInt64)
  case failed(Int32)
  case wouldBlock(Readiness)
  case blocks
  case other

  init(_ effect: consuming Effect) {
    switch consume effect {
    case .done(let result): self = .done(result)
    case .failed(let errno): self = .failed(errno)
    case .wouldBlock(let readiness): self = .wouldBlock(readiness)
    case .blocks: self = .blocks
    default: self = .other
    }
  }
}

/// Nanoseconds that move only when a test says so.
final class TestClock: Sendable {
  private let value = Mutex<UInt64>(1_000_000_000)

  var now: UInt64 { value.withLock { $0 } }
  func advance(_ nanoseconds: UInt64) { value.withLock { $0 += nanoseconds } }
}

func grant(
  _ opcode: Opcode, offset: UInt64 = 0, length: UInt64 = 0, request: UInt32 = 0, range: ByteRange? = nil
) -> Grant {
  Grant(
    issuer: .kernel,
    instruction: Instruction(
      opcode: opcode, object: ObjectID(rawValue: 1),
      operands: Operands(offset: offset, length: length, request: request)),
    association: nil, range: range, generation: 1, expiry: 0)
}

extension OpenObject {
  /// One instruction as the broker performs it: on the checking thread, and on where that one would wait for hardware.
  func run(
    _ opcode: Opcode, _ payload: [UInt8] = [], offset: UInt64 = 0, length: Int = 0, request: UInt32 = 0,
    range: ByteRange? = nil, room: Int = 65536, blocking: Bool = true
  ) -> (outcome: Outcome, bytes: [UInt8]) {
    let carried = length == 0 && opcode != .transfer ? payload.count : length
    var bytes: [UInt8] = []
    let outcome = collectingBytes(capacity: room, into: &bytes) { output in
      payload.withRawSpan { payload -> Outcome in
        let first = perform(
          grant(opcode, offset: offset, length: UInt64(carried), request: request, range: range),
          payload: payload, into: &output)
        switch consume first {
        case .blocks(let grant):
          guard blocking else { return .blocks }
          return Outcome(performBlocking(grant, payload: payload, into: &output))
        case let other: return Outcome(other)
        }
      }
    }
    return (outcome, bytes)
  }

  func transfer(_ payload: [UInt8], read count: Int = 0) -> (outcome: Outcome, bytes: [UInt8]) {
    run(.transfer, payload, length: count)
  }
}

func simulated(_ device: SimulatedDevice, _ buses: SimulatedBuses) throws -> any OpenObject {
  try BusObject.open(BusSpecification(device: .simulated(device)), simulation: buses)
}

/// A folder that is gone with this value.
final class ScratchFolder: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("postern-bus-\(UUID().uuidString)").path
    try makeFolder("")
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func makeFolder(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: false)
  }

  func write(_ bytes: [UInt8], to name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
  }
}

/// The bytes of a file; nil where it cannot be read.
func contents(of path: String) -> [UInt8]? { FileManager.default.contents(atPath: path).map(Array.init) }

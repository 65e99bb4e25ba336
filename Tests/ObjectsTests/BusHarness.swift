import Authority
import Instructions
import Linux
import Objects
import Synchronization

/// Nanoseconds that move only when a test says so.
final class TestClock: Sendable {
  private let value = Mutex<UInt64>(1_000_000_000)

  var now: UInt64 { value.withLock { $0 } }
  func advance(_ nanoseconds: UInt64) { value.withLock { $0 += nanoseconds } }
}

extension OpenObject {
  /// One instruction as the broker performs it: on the checking thread, and on where that one would wait for hardware.
  ///
  /// - Parameter length: bytes wanted; where 0, and not for a transfer, those of the payload.
  func run(
    _ opcode: Opcode, _ payload: [UInt8] = [], offset: UInt64 = 0, length: Int = 0, request: UInt32 = 0,
    range: ByteRange? = nil, room: Int = 65536, blocking: Bool = true
  ) -> (outcome: Observed, bytes: [UInt8]) {
    let operands = Operands(
      offset: offset, length: UInt64(length == 0 && opcode != .transfer ? payload.count : length), request: request)
    let performed = ObjectsTests.perform(
      self, opcode, operands, range: range, payload: payload, room: room, inlineOnly: !blocking)
    return (performed.outcome, performed.bytes)
  }

  func transfer(_ payload: [UInt8], read count: Int = 0) -> (outcome: Observed, bytes: [UInt8]) {
    run(.transfer, payload, length: count)
  }
}

func simulated(_ device: SimulatedDevice, _ buses: SimulatedBuses) throws -> any OpenObject {
  try BusObject.open(BusSpecification(device: .simulated(device)), simulation: buses)
}

import Authority
import Instructions
import Linux

/// A hidraw device.
///
/// - read: one input report, cut off at `length` bytes; `wouldBlock` until one is there.
/// - write: one output report, its number (or 0) first.
/// - wait: done (0) when a report is there.
/// - control: the requests of `BusControl` on `hid`.
final class HIDObject: DeviceOperations {
  /// HID_MAX_BUFFER_SIZE of include/linux/hid.h.
  static let reportLimit = 16384

  let device: BusDevice

  init(_ device: BusDevice, operations: OperationSet) {
    self.device = device
    self.operations = operations
  }

  let recalled = RecallMark()
  let operations: OperationSet
  var readiness: Int32? { device.readiness }

  func start(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    let instruction = grant.instruction
    do throws(SystemError) {
      switch instruction.opcode {
      case .read:
        let wanted = try instruction.operands.wanted(room: output.freeCapacity)
        guard wanted > 0 else { throw .invalid }
        guard let count = try device.read(upTo: wanted, into: &output) else { return .wouldBlock(.readable) }
        return .done(UInt64(count))
      case .wait:
        return try device.waitReadable(milliseconds: 0) ? .done(0) : .wouldBlock(.readable)
      default:
        return .blocks(grant)
      }
    } catch {
      return .failed(errno: error.errno)
    }
  }

  func execute(
    _ instruction: Instruction, range: ByteRange?, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64 {
    switch instruction.opcode {
    case .write:
      guard 1...Self.reportLimit ~= payload.byteCount else { throw .invalid }
      guard let count = try device.write(payload) else { throw .again }
      return UInt64(count)
    case .control:
      return try device.control(instruction, on: .hid, payload: payload, into: &output)
    default:
      throw .invalid
    }
  }
}

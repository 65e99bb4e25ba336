import Authority
import Instructions
import Linux

/// A tty as a raw line of 8 data bits; its settings are restored at the object's end.
///
/// - read: what arrives within a second, at most `length` bytes, perhaps none.
/// - write: what the line takes at once; the result counts it, and `wouldBlock` means none.
/// - wait: done (0) when there is something to read, or the line hung up.
/// - control: the requests of `BusControl` on `serial`.
final class SerialObject: DeviceOperations {
  /// How long a read waits for its bytes.
  static let patience: UInt64 = 1_000_000_000

  private let patience: UInt64
  let device: BusDevice
  private let previous: TerminalSettings

  /// - Throws: ENOTTY where it is no tty; EINVAL for settings it did not take. The tty has its old settings then.
  init(
    _ device: BusDevice, baud: UInt32, parity: BusSpecification.Parity, stopBits: UInt8, operations: OperationSet,
    patience: UInt64 = SerialObject.patience
  ) throws(SystemError) {
    guard baud > 0, 1...2 ~= stopBits else { throw .invalid }
    let parity: TerminalSettings.Parity =
      switch parity {
      case .none: .none
      case .even: .even
      case .odd: .odd
      }
    let previous = try device.terminalSettings()
    do throws(SystemError) {
      try device.setTerminalSettings(previous.raw(baud: baud, parity: parity, stopBits: stopBits))
      let taken = try device.terminalSettings()
      // A divisor hits few speeds exactly; more than 3 % apart, two ends no longer understand each other.
      let isNear = UInt64(abs(Int64(taken.baud) - Int64(baud))) * 100 <= UInt64(baud) * 3
      guard taken.isRaw, taken.dataBits == 8, taken.stopBits == stopBits, isNear,
        taken.parity == parity || device.isPseudoterminal
      else { throw .invalid }
    } catch {
      try? device.setTerminalSettings(previous)
      throw error
    }
    self.device = device
    self.previous = previous
    self.operations = operations
    self.patience = patience
  }

  deinit {
    // A line that is gone has no settings to restore.
    try? device.setTerminalSettings(previous)
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
        guard wanted > 0, try device.bytesWaiting() < wanted else { break }
        return .blocks(grant)
      case .write:
        guard let count = try device.write(payload) else { return .wouldBlock(.writable) }
        return .done(UInt64(count))
      case .wait:
        return try device.waitReadable(milliseconds: 0) ? .done(0) : .wouldBlock(.readable)
      default:
        if mayBlock { return .blocks(grant) }
      }
    } catch {
      return .failed(errno: error.errno)
    }
    return performBlocking(grant, payload: payload, into: &output)
  }

  func execute(
    _ instruction: Instruction, range: ByteRange?, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64 {
    switch instruction.opcode {
    case .read:
      let wanted = try instruction.operands.wanted(room: output.freeCapacity)
      return UInt64(
        try device.readArriving(
          upTo: wanted, within: patience, until: { recalled.isSet }, into: &output))
    case .control:
      return try device.control(instruction, on: .serial, payload: payload, into: &output)
    default:
      throw .invalid
    }
  }
}

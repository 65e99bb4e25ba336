import Authority
import Instructions
import Linux

/// Lines of a GPIO chip, held from open to the object's end; outputs start with the value they have.
///
/// - read: one byte per line in declared order, 0 or 1; `length` shorter than that reads the first ones.
/// - write: one byte per line, all of them, 0 or 1 (else EINVAL and nothing changes); a line that is an input ignores its
///   byte. The result counts the bytes.
/// - wait: the oldest edge, 24 bytes in little-endian order: nanoseconds of CLOCK_MONOTONIC (8), line on the chip (4),
///   1 rising or 2 falling (4), number of the edge among those of all lines (4) and of this line (4), from 1; a gap
///   shows edges that nobody fetched in time.
final class GPIOObject: BusOperations {
  static let eventSize = 24

  private let lines: [UInt32]
  private let outputs: UInt64
  private let request: BusDevice

  /// - Parameter outputs: bit N: `lines[N]` is an output.
  init(_ chip: BusDevice, lines: [UInt32], outputs: UInt64, edge: BusSpecification.Edge, operations: OperationSet)
    throws(SystemError)
  {
    request = try chip.gpioLines(
      lines, outputs: outputs, rising: edge == .rising || edge == .both, falling: edge == .falling || edge == .both)
    self.lines = lines
    self.outputs = outputs
    self.operations = operations
  }

  let recalled = RecallMark()
  let operations: OperationSet
  var mayBlock: Bool { request.mayBlock }
  var readiness: Int32? { request.readiness }
  /// From the first line to the last: two objects between whose lines others lie count as overlapping.
  var footprint: Footprint? {
    guard let first = lines.min(), let last = lines.max() else { return nil }
    return Footprint(request, range: ByteRange(offset: UInt64(first), length: UInt64(last - first) + 1))
  }

  func start(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    // An event is in memory or is not; only values may be behind a slow bus.
    if grant.instruction.opcode == .wait { return nextEvent(into: &output) }
    return mayBlock ? .blocks(grant) : performBlocking(grant, payload: payload, into: &output)
  }

  func execute(
    _ instruction: Instruction, range: ByteRange?, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64 {
    switch instruction.opcode {
    case .read:
      let wanted = try instruction.operands.wanted(room: output.freeCapacity, atMost: lines.count)
      let values = try request.gpioValues(count: lines.count)
      for index in 0..<wanted { output.append(UInt8(values >> UInt64(index) & 1)) }
      return UInt64(wanted)
    case .write:
      let bytes = payload.copiedBytes
      guard bytes.count == lines.count, bytes.allSatisfy({ $0 <= 1 }) else { throw .invalid }
      var values: UInt64 = 0
      for index in bytes.indices { values |= UInt64(bytes[index]) << UInt64(index) }
      try request.setGPIOValues(values & outputs, mask: outputs)
      return UInt64(bytes.count)
    default:
      throw .invalid
    }
  }

  private func nextEvent(into output: inout OutputRawSpan) -> Effect {
    guard output.freeCapacity >= Self.eventSize else { return .failed(errno: SystemError.invalid.errno) }
    do throws(SystemError) {
      guard let event = try request.nextGPIOEvent() else { return .wouldBlock(.readable) }
      output.append(littleEndian: event.nanoseconds)
      output.append(littleEndian: event.line)
      output.append(littleEndian: event.isRising ? UInt32(1) : 2)
      output.append(littleEndian: event.sequence)
      output.append(littleEndian: event.lineSequence)
      return .done(UInt64(Self.eventSize))
    } catch {
      return .failed(errno: error.errno)
    }
  }
}

extension OutputRawSpan {
  mutating func append(littleEndian value: some FixedWidthInteger) {
    for byte in 0..<value.bitWidth / 8 { append(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
  }
}

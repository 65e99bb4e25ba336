import Authority
import Instructions
import Linux

/// Configuration space or a BAR of a PCI device, from the grant's range on.
///
/// - read: `length` bytes from `offset`; fewer at the end of the region, 0 past it.
/// - write: the payload at `offset`; EINVAL where it would cross the end, and nothing is written.
final class PCIObject: BusOperations {
  private let region: PCIRegion

  init(_ region: PCIRegion) {
    self.region = region
  }

  let operations = OperationSet([.read, .write])
  /// A read of a device that does not answer takes until the bus gives up.
  var mayBlock: Bool { true }
  var readiness: Int32? { nil }
  var footprint: Footprint? {
    Footprint(
      device: FileIdentity(device: region.identity.device, inode: region.identity.inode), range: nil)
  }

  func performBlocking(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    let whole = ByteRange(offset: 0, length: UInt64(region.size))
    let range = grant.range ?? whole
    let instruction = grant.instruction
    guard operations.contains(instruction.opcode), range.offset <= whole.length else {
      return .failed(errno: SystemError.invalid.errno)
    }
    let length = min(range.length, whole.length - range.offset)
    let offset = instruction.operands.offset
    do throws(SystemError) {
      if instruction.opcode == .read {
        guard offset < length else { return .done(0) }
        let wanted = min(instruction.operands.length, length - offset, UInt64(output.freeCapacity))
        return .done(UInt64(try region.read(at: Int(range.offset + offset), count: Int(wanted), into: &output)))
      }
      guard offset <= length, UInt64(payload.byteCount) <= length - offset else { throw .invalid }
      try region.write(payload.copiedBytes, at: Int(range.offset + offset))
      return .done(UInt64(payload.byteCount))
    } catch {
      return .failed(errno: error.errno)
    }
  }

  func execute(_ instruction: Instruction, payload: RawSpan, into output: inout OutputRawSpan) throws(SystemError)
    -> UInt64
  {
    throw .invalid
  }
}

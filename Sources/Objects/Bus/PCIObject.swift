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

  let recalled = RecallMark()
  let operations = OperationSet([.read, .write])
  /// A read of a device that does not answer takes until the bus gives up.
  var mayBlock: Bool { true }
  var readiness: Int32? { nil }
  var footprint: Footprint? {
    Footprint(
      device: FileIdentity(device: region.identity.device, inode: region.identity.inode), range: nil)
  }

  func execute(
    _ instruction: Instruction, range: ByteRange?, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64 {
    let size = UInt64(region.size)
    let range = range ?? ByteRange(offset: 0, length: size)
    guard range.offset <= size else { throw .invalid }
    let length = min(range.length, size - range.offset)
    let offset = instruction.operands.offset
    if instruction.opcode == .read {
      guard offset < length else { return 0 }
      let wanted = min(instruction.operands.length, length - offset, UInt64(output.freeCapacity))
      return UInt64(try region.read(at: Int(range.offset + offset), count: Int(wanted), into: &output))
    }
    guard offset <= length, UInt64(payload.byteCount) <= length - offset else { throw .invalid }
    try region.write(payload.copiedBytes, at: Int(range.offset + offset))
    return UInt64(payload.byteCount)
  }
}

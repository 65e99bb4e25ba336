import CLinux
import Glibc

/// What a block device says of itself.
public struct BlockGeometry: Sendable, Hashable {
  /// Bytes.
  public var size: UInt64
  /// Counts the media that the device has had since boot (BLKGETDISKSEQ); 0 where the kernel does not.
  public var sequence: UInt64
  /// Bytes; the unit of a discard.
  public var logicalBlock: UInt32
  /// Bytes; the unit that the device writes without reading first.
  public var physicalBlock: UInt32
  public var isReadOnly: Bool
  public var isRotational: Bool
}

extension Descriptor {
  /// The ioctls BLKGETSIZE64, BLKSSZGET, BLKPBSZGET, BLKROGET, BLKROTATIONAL and BLKGETDISKSEQ.
  public borrowing func blockGeometry() throws(SystemError) -> BlockGeometry {
    let number = rawValue
    var raw = clinux_block_geometry()
    // SAFETY: the structure is valid during the call.
    _ = try retrying("ioctl(BLKGETSIZE64)") { unsafe Int(clinux_block_geometry(number, &raw)) }
    return BlockGeometry(
      size: raw.size, sequence: raw.sequence, logicalBlock: raw.logical_block, physicalBlock: raw.physical_block,
      isReadOnly: raw.read_only != 0, isRotational: raw.rotational != 0)
  }

  /// BLKDISCARD: what the bytes read as afterwards is the device's affair.
  ///
  /// Offset and length are multiples of the logical block, else EINVAL and nothing happens.
  public borrowing func discardBlocks(at offset: UInt64, length: UInt64) throws(SystemError) {
    let number = rawValue
    _ = try retrying("ioctl(BLKDISCARD)") { Int(clinux_block_discard(number, offset, length)) }
  }
}

import Authority
import Instructions
import Linux

/// What a disk object's device is like, the same for block devices and image files.
struct DiskGeometry: Sendable {
  /// Bytes.
  var size: UInt64
  /// The medium's number where the device counts media, else 0.
  var sequence: UInt64
  /// The unit of a discard; 1 for image files.
  var logicalBlock: UInt32
  /// The unit that is best written whole.
  var physicalBlock: UInt32
  var isBlockDevice: Bool
  var isReadOnly: Bool
  var isRotational: Bool

  init(of descriptor: borrowing Descriptor, status: FileStatus, path: String) throws(SystemError) {
    guard status.kind == .blockDevice else {
      size = status.size
      sequence = 0
      logicalBlock = 1
      physicalBlock = status.blockSize
      isBlockDevice = false
      isReadOnly = false
      isRotational = false
      return
    }
    let device: BlockGeometry
    do {
      device = try descriptor.blockGeometry()
    } catch {
      throw SystemError(errno: error.errno, operation: error.operation, path: path)
    }
    size = device.size
    sequence = device.sequence
    logicalBlock = device.logicalBlock
    physicalBlock = device.physicalBlock
    isBlockDevice = true
    isReadOnly = device.isReadOnly
    isRotational = device.isRotational
  }
}

extension DiskInformation {
  init(_ geometry: DiskGeometry, range: ByteRange, access: Access) {
    var flags: Flags = []
    if access == .readOnly { flags.insert(.readOnly) }
    if geometry.isRotational { flags.insert(.rotational) }
    if geometry.isBlockDevice { flags.insert(.blockDevice) }
    self.init(
      size: range.length, blockSize: geometry.logicalBlock, physicalBlockSize: geometry.physicalBlock, flags: flags)
  }
}

import CLinux
import Glibc

extension DirectDescriptor {
  /// fstat(2)
  public func status() throws(SystemError) -> FileStatus {
    try borrowed("fstat") { (descriptor) throws(SystemError) in try descriptor.status() }
  }

  /// See `Descriptor.blockGeometry`.
  public func blockGeometry() throws(SystemError) -> BlockGeometry {
    try borrowed("ioctl(BLKGETSIZE64)") { (descriptor) throws(SystemError) in try descriptor.blockGeometry() }
  }

  /// BLKDISCARD on a block device, a hole in any other file.
  public func discard(at offset: UInt64, length: UInt64) throws(SystemError) {
    try borrowed("discard") { (descriptor) throws(SystemError) in
      if kind == .blockDevice {
        try descriptor.discardBlocks(at: offset, length: length)
      } else {
        try descriptor.punchHole(at: offset, length: length)
      }
    }
  }

  /// An ioctl whose argument is a structure of `size` bytes without pointers, copied in and out.
  ///
  /// Not repeated after EINTR: part of what it asks for may have happened.
  ///
  /// - Parameter input: exactly `size` bytes, or none where the kernel only writes.
  /// - Returns: what ioctl(2) returned, and the structure afterwards.
  public func control(
    _ request: UInt32, size: Int, input: [UInt8]
  ) throws(SystemError) -> (result: Int, structure: [UInt8]) {
    guard input.isEmpty || input.count == size else { throw .invalid }
    var bytes = input.isEmpty ? [UInt8](repeating: 0, count: size) : input
    let number = try current("ioctl")
    // SAFETY: the caller's table says that the request uses `size` bytes and has no pointer among them.
    let result = unsafe clinux_bus_ioctl(number, request, &bytes)
    guard result >= 0 else { throw SystemError(errno: errno, operation: "ioctl") }
    return (Int(result), bytes)
  }

  /// An ioctl whose argument is a number, or not used.
  public func control(_ request: UInt32, value: UInt32) throws(SystemError) -> Int {
    let number = try current("ioctl")
    // SAFETY: the caller's table says that the request takes a number; it is never followed.
    let result = unsafe clinux_bus_ioctl(number, request, UnsafeMutableRawPointer(bitPattern: UInt(value)))
    guard result >= 0 else { throw SystemError(errno: errno, operation: "ioctl") }
    return Int(result)
  }
}

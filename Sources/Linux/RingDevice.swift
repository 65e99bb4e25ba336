import CLinux
import Glibc

/// The loop device that stands for a disk in a ring, to take it back by where nobody else is left who could.
public final class RingDevice: Sendable {
  private let descriptor: Descriptor

  init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

  /// A file in memory, for trying whether devices can be made of files.
  public static func trialFile(length: Int) throws(SystemError) -> Descriptor {
    let file = Descriptor(
      adopting: Int32(
        try retrying("memfd_create") {
          // SAFETY: a literal.
          unsafe Int(clinux_memory_file("postern-trial"))
        }))
    let number = file.rawValue
    _ = try retrying("ftruncate") { Int(ftruncate(number, off_t(length))) }
    return file
  }

  /// Whoever has it finds a device of no size from then on; what was written has reached the object.
  ///
  /// Waits for what the device has under way.
  ///
  /// - Parameter length: of the part of the object that it is made of.
  public func recall(length: UInt64) throws(SystemError) {
    let result = clinux_ring_loop_recall(descriptor.rawValue, length)
    guard result == 0 else { throw SystemError(errno: -result, operation: "ioctl(LOOP_SET_STATUS64)") }
  }
}

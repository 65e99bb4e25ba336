import CLinux
import Glibc

/// Configuration space or a BAR of a PCI device, through sysfs.
///
/// Thread-safe. Accesses are of natural width: 4, 2 or 1 bytes, as wide as alignment and length allow.
public final class PCIRegion: Sendable {
  /// Where sysfs lists PCI devices.
  public static let systemRoot = "/sys/bus/pci/devices"

  /// Of the file in sysfs.
  public let identity: BusDevice.FileIdentityNumbers
  /// Bytes.
  public let size: Int
  private let descriptor: Descriptor
  /// The BAR's memory as an address; nil: accesses are made with pread(2) and pwrite(2).
  private let mapping: UInt?
  private let isWritable: Bool
  private let path: String

  /// Opens `config`, or `resourceN` for a bar.
  ///
  /// - Parameters:
  ///   - address: as `0000:00:04.0`, nothing else (EINVAL): it becomes part of a path.
  ///   - bar: 0-5, or nil for configuration space.
  ///   - root: where devices are listed.
  public init(address: String, bar: UInt8?, root: String = systemRoot) throws(SystemError) {
    guard Self.isAddress(address), bar.map({ $0 < 6 }) ?? true else {
      throw SystemError(errno: EINVAL, operation: "open", path: address)
    }
    let path = "\(root)/\(address)/" + (bar.map { "resource\($0)" } ?? "config")
    var isWritable = true
    var opened: Descriptor
    do throws(SystemError) {
      opened = try Self.open(path, O_RDWR)
    } catch {
      // Only root writes configuration space, everyone reads the first part of it.
      guard error.errno == EACCES else { throw error }
      opened = try Self.open(path, O_RDONLY)
      isWritable = false
    }
    let status = try opened.status()
    let number = opened.rawValue
    size = Int(status.size)
    identity = BusDevice.FileIdentityNumbers(device: status.device, inode: status.inode)
    if bar != nil, size > 0 {
      let access = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
      // SAFETY: a new mapping of ours, unmapped in deinit. A BAR of I/O ports cannot be mapped and stays with pread.
      let memory = unsafe mmap(nil, size, access, MAP_SHARED, number, 0)
      mapping = unsafe memory == MAP_FAILED ? nil : UInt(bitPattern: memory)
    } else {
      mapping = nil
    }
    descriptor = opened
    self.isWritable = isWritable
    self.path = path
  }

  deinit {
    guard let mapping else { return }
    // SAFETY: mapped in init with this size; nothing refers to it any more.
    unsafe munmap(UnsafeMutableRawPointer(bitPattern: mapping), size)
  }

  /// Whether accesses reach the device's memory itself.
  public var isMapped: Bool { mapping != nil }

  private static func open(_ path: String, _ flags: Int32) throws(SystemError) -> Descriptor {
    // SAFETY: the string is valid during the call.
    Descriptor(adopting: Int32(try retrying("open", path) { unsafe Int(Glibc.open(path, flags | O_CLOEXEC)) }))
  }

  /// `dddd:dd:dd.d` in hexadecimal digits; a domain may have more than four.
  private static func isAddress(_ text: String) -> Bool {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3 else { return false }
    let last = parts[2].split(separator: ".", omittingEmptySubsequences: false)
    guard last.count == 2 else { return false }
    let isHex = { (part: Substring, length: ClosedRange<Int>) in
      length ~= part.utf8.count && part.utf8.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
    }
    return isHex(parts[0], 4...8) && isHex(parts[1], 2...2) && isHex(last[0], 2...2) && isHex(last[1], 1...1)
  }

  /// Appends `count` bytes from `offset`, both within the region (else EINVAL), with room in `output`.
  ///
  /// An ordinary user's read of configuration space ends early, at what the kernel shows.
  ///
  /// - Returns: how many were appended.
  public func read(at offset: Int, count: Int, into output: inout OutputRawSpan) throws(SystemError) -> Int {
    guard 0...size ~= offset, 0...(size - offset) ~= count, count <= output.freeCapacity else { throw .invalid }
    var position = 0
    while position < count {
      let width = Self.width(at: offset + position, remaining: count - position)
      var value: UInt32 = 0
      if let mapping {
        // SAFETY: within the mapping, aligned to the width.
        value = unsafe clinux_mmio_read(UnsafeRawPointer(bitPattern: mapping + UInt(offset + position)), UInt32(width))
      } else {
        let number = descriptor.rawValue
        let place = off_t(offset + position)
        // SAFETY: the width is at most the value's size.
        let got = try retrying("pread", path) { unsafe pread(number, &value, width, place) }
        if got < width { return position }
      }
      for byte in 0..<width { output.append(UInt8(truncatingIfNeeded: value.littleEndian >> (8 * UInt32(byte)))) }
      position += width
    }
    return count
  }

  /// Writes within the region (else EINVAL); EACCES where it could be opened for reading only.
  ///
  /// An error may leave the first accesses done, as on the device itself.
  public func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
    guard 0...size ~= offset, bytes.count <= size - offset else { throw .invalid }
    guard isWritable else { throw SystemError(errno: EACCES, operation: "pwrite", path: path) }
    var position = 0
    while position < bytes.count {
      let width = Self.width(at: offset + position, remaining: bytes.count - position)
      var value: UInt32 = 0
      for byte in 0..<width { value |= UInt32(bytes[position + byte]) << (8 * UInt32(byte)) }
      value = value.littleEndian
      if let mapping {
        // SAFETY: within the mapping, which is writable, aligned to the width.
        unsafe clinux_mmio_write(
          UnsafeMutableRawPointer(bitPattern: mapping + UInt(offset + position)), UInt32(width), value)
      } else {
        let number = descriptor.rawValue
        let place = off_t(offset + position)
        // SAFETY: the width is at most the value's size.
        let put = try retrying("pwrite", path) { unsafe pwrite(number, &value, width, place) }
        guard put == width else { throw SystemError(errno: EIO, operation: "pwrite", path: path) }
      }
      position += width
    }
  }

  private static func width(at offset: Int, remaining: Int) -> Int {
    if offset % 4 == 0, remaining >= 4 { return 4 }
    return offset % 2 == 0 && remaining >= 2 ? 2 : 1
  }
}

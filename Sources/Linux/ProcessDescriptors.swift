import CLinux
import Glibc

/// The descriptors of another process (proc_pid_fd(5), pidfd_getfd(2)).
public enum ProcessDescriptors {
  /// The numbers that are open now.
  public static func numbers(of pid: Int32) throws(SystemError) -> [Int32] {
    try RegularFile.paths(in: "/proc/\(pid)/fd", suffix: "").compactMap { path in
      path.split(separator: "/").last.flatMap { Int32($0) }
    }
  }

  /// The processes that proc(5) shows now.
  public static func processes() throws(SystemError) -> [Int32] {
    try RegularFile.paths(in: "/proc", suffix: "").compactMap { path in
      path.split(separator: "/").last.flatMap { Int32($0) }
    }
  }

  /// As the link reads: `socket:[4711]`, a path.
  public static func isSocket(_ number: Int32, of pid: Int32) -> Bool {
    (try? ProcFile.readLink("/proc/\(pid)/fd/\(number)"))?.hasPrefix("socket:[") ?? false
  }

  /// Whether it leads to this device or file.
  public static func leads(_ number: Int32, of pid: Int32, to device: DeviceIdentity) -> Bool {
    DeviceIdentity(path: "/proc/\(pid)/fd/\(number)") == device
  }

  /// Whether the process can have given the kernel requests that outlast the calls that made them: AIO (io_setup(2)) or an
  /// io_uring. What cannot be looked at can.
  public static func hasAsynchronousRequests(_ pid: Int32) -> Bool {
    guard let maps = try? ProcFile.read("/proc/\(pid)/maps", limit: 8 << 20), let numbers = try? numbers(of: pid) else {
      return true
    }
    if String(decoding: maps, as: UTF8.self).contains("/[aio]") { return true }
    return numbers.contains { number in
      (try? ProcFile.readLink("/proc/\(pid)/fd/\(number)"))?.hasPrefix("anon_inode:[io_uring]") ?? false
    }
  }

  /// A copy of the descriptor that is `number` there now.
  public static func fetch(_ number: Int32, from process: borrowing Descriptor) throws(SystemError) -> Descriptor {
    let fd = process.rawValue
    return Descriptor(adopting: Int32(try retrying("pidfd_getfd") { Int(clinux_pidfd_get(fd, number)) }))
  }

  /// Ends the process and waits until it has ended.
  ///
  /// - Parameters:
  ///   - process: its pidfd.
  ///   - deadline: boottime nanoseconds.
  /// - Returns: whether it has ended.
  public static func kill(_ process: borrowing Descriptor, until deadline: UInt64) throws(SystemError) -> Bool {
    let fd = process.rawValue
    do {
      _ = try retrying("pidfd_send_signal") { Int(clinux_pidfd_send_signal(fd, SIGKILL)) }
    } catch {
      if error.errno == ESRCH { return true }
      throw error
    }
    while Clock.boottime() < deadline {
      var request = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
      // SAFETY: one structure of our own.
      if unsafe poll(&request, 1, 10) == 1 { return true }
    }
    return try isReadable(fd)
  }
}

extension Descriptor {
  /// A terminal answers tcgetattr(3).
  public var isTerminal: Bool { isatty(rawValue) == 1 }

  /// Only hidraw answers its information request.
  public var isHID: Bool {
    let number = rawValue
    var information = [UInt8](repeating: 0, count: Int(CLINUX_HID_INFO_SIZE))
    return unsafe information.withUnsafeMutableBytes { bytes in
      // SAFETY: the array has the size of the structure.
      unsafe clinux_bus_ioctl(number, clinux_hid_info, bytes.baseAddress) >= 0
    }
  }

  /// The major number of a character device (Documentation/admin-guide/devices.txt); 0 for what is none.
  public func deviceMajor() throws(SystemError) -> UInt32 {
    let status = try status()
    return status.kind == .characterDevice ? clinux_device_major(status.specialDevice) : 0
  }
}

/// Documentation/admin-guide/devices.txt
public enum DeviceMajor {
  public static let spi: UInt32 = 153
  public static let usb: UInt32 = 189
}

/// A device by its number, or a file by its file system and inode: what names lead to, never names.
public struct DeviceIdentity: Sendable, Hashable {
  public var kind: FileKind
  /// The device number; of a regular file and of a pseudoterminal, which every devpts numbers anew, its file system.
  public var device: UInt64
  /// 0 for devices.
  public var inode: UInt64

  /// What a path leads to, links followed; nil: nothing, or it cannot be looked at.
  public init?(path: String) {
    guard let status = try? ProcFile.status(path) else { return nil }
    self.init(
      mode: status.st_mode, fileSystem: UInt64(status.st_dev), inode: UInt64(status.st_ino),
      device: UInt64(status.st_rdev))
  }

  /// nil for what is neither a device nor a regular file.
  public init?(of descriptor: borrowing Descriptor) {
    var information = stat()
    // SAFETY: the structure is written by the call.
    guard unsafe fstat(descriptor.rawValue, &information) == 0 else { return nil }
    self.init(
      mode: information.st_mode, fileSystem: UInt64(information.st_dev), inode: UInt64(information.st_ino),
      device: UInt64(information.st_rdev))
  }

  private init?(mode: mode_t, fileSystem: UInt64, inode: UInt64, device: UInt64) {
    switch mode & S_IFMT {
    case S_IFREG: (kind, self.device, self.inode) = (.regular, fileSystem, inode)
    case S_IFBLK: (kind, self.device, self.inode) = (.blockDevice, device, 0)
    // linux/major.h, UNIX98_PTY_SLAVE_MAJOR: 136 to 143.
    case S_IFCHR where (136...143).contains(clinux_device_major(device)):
      (kind, self.device, self.inode) = (.characterDevice, fileSystem, inode)
    case S_IFCHR: (kind, self.device, self.inode) = (.characterDevice, device, 0)
    default: return nil
    }
  }
}

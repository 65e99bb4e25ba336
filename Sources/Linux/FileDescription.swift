import CLinux
import Glibc

/// What a resolved file is: enough to find the object that it stands for, without opening it.
public struct FileDescription: Sendable, Hashable {
  public var status: FileStatus
  /// A pseudoterminal: its device number means something in its own instance of devpts(5) only, so two are the same one
  /// only if `status.device` and `status.inode` agree too.
  public var isOnDevpts: Bool
}

extension Descriptor {
  /// fstat(2), and for character devices fstatfs(2).
  public borrowing func fileDescription() throws(SystemError) -> FileDescription {
    let status = try status()
    guard status.kind == .characterDevice else { return FileDescription(status: status, isOnDevpts: false) }
    let number = rawValue
    let isOnDevpts = try retrying("fstatfs") { Int(clinux_file_is_on_devpts(number)) } != 0
    return FileDescription(status: status, isOnDevpts: isOnDevpts)
  }
}

/// The controlling terminal of whoever opens it, /dev/tty (major 5, minor 0: drivers/tty/tty_io.c).
private let ownTerminal: UInt64 = 5 << 8

extension PathSurroundings {
  /// Opens for use what `resolved` pins, through our own /proc/thread-self/fd, so that no name is looked up again.
  ///
  /// Runs on the listener's own thread only: the open of a device, of a leased file or of a file on FUSE may wait. A
  /// character device is opened O_NONBLOCK whatever the program asked for, because a tty waits for a carrier, and the
  /// flag is taken away again. The descriptor is close-on-exec and never a controlling terminal.
  ///
  /// - Throws: EACCES for what is no device and no regular file, for /dev/tty, which would be *our* terminal, and on a
  ///   file system mounted nodev (see `reopen(devicePath:matching:as:)`); EPERM for O_NOATIME on somebody else's file
  ///   without CAP_FOWNER; what the driver says.
  public static func reopen(_ resolved: borrowing Descriptor, as served: Served) throws(SystemError) -> Descriptor {
    let status = try resolved.status()
    let terminal = status.kind == .characterDevice && status.specialDevice == ownTerminal
    guard !terminal, [.regular, .blockDevice, .characterDevice].contains(status.kind) else {
      throw SystemError(errno: EACCES, operation: "open")
    }
    var flags = served.flags.union(served.access.flags)
    if status.kind != .regular { flags.remove(.truncate) }
    let becomesBlocking = status.kind == .characterDevice && !flags.contains(.nonBlocking)
    if becomesBlocking { flags.insert(.nonBlocking) }
    let number = resolved.rawValue
    let bits = Int32(truncatingIfNeeded: flags.rawValue)
    let opened = Descriptor(adopting: Int32(try retrying("open") { Int(clinux_file_reopen(number, bits)) }))
    if becomesBlocking {
      let number = opened.rawValue
      _ = try retrying("fcntl(F_SETFL)") { Int(clinux_file_set_blocking(number)) }
    }
    return opened
  }

  /// Opens the broker's own name of a device whose node in the program's view is on a file system mounted nodev.
  ///
  /// - Parameters:
  ///   - devicePath: the policy's path, in the broker's root.
  ///   - description: of the program's node; only a block or character device of the same number, neither of them on
  ///     devpts(5), is the same device under another name.
  /// - Throws: EACCES where it is not the same device.
  public static func reopen(devicePath: String, matching description: FileDescription, as served: Served)
    throws(SystemError) -> Descriptor
  {
    let own = try Descriptor.pin(devicePath)
    let found = try own.fileDescription()
    guard [.blockDevice, .characterDevice].contains(found.status.kind), found.status.kind == description.status.kind,
      found.status.specialDevice == description.status.specialDevice, !found.isOnDevpts, !description.isOnDevpts
    else { throw SystemError(errno: EACCES, operation: "open", path: devicePath) }
    return try reopen(own, as: served)
  }
}

extension Served.Access {
  fileprivate var flags: OpenFlags {
    switch self {
    case .readOnly: []
    case .writeOnly: .writeOnly
    case .readWrite: .readWrite
    }
  }
}

import CLinux
import Glibc

/// An open bus device of the kernel or of the simulated kernel; only the lowest call differs.
///
/// Thread-safe. Never blocks in `read` and `write`; `control` may, on a device of the kernel.
public final class BusDevice: Sendable {
  private enum Backing: ~Copyable, Sendable {
    case kernel(Descriptor)
    case simulated(SimulatedFile)
  }

  private let backing: Backing
  /// For errors; a path, or `simulated`.
  public let path: String
  /// The device number (inode 0), or the identity of the file where it is no character device.
  public let identity: FileIdentityNumbers

  /// A file's identity as objects compare it.
  public struct FileIdentityNumbers: Sendable, Hashable {
    public var device: UInt64
    public var inode: UInt64
  }

  /// No device of the kernel has this number, nor is it a file system's.
  public static let simulatedDeviceNumber = UInt64.max

  /// Opens a character device for reading and writing, without waiting for a carrier or becoming its terminal.
  ///
  /// - Throws: ENOTTY for anything else than a character device.
  public convenience init(path: String) throws(SystemError) {
    guard !path.utf8.contains(0) else { throw SystemError(errno: EINVAL, operation: "open", path: path) }
    // SAFETY: the string is valid during the call.
    let number = try retrying("open", path) { unsafe Int(clinux_bus_open(path)) }
    try self.init(opened: Descriptor(adopting: Int32(number)), path)
    // A disk under the name of a bus would be read without its range.
    guard identity.inode == 0 else { throw SystemError(errno: ENOTTY, operation: "open", path: path) }
  }

  /// Opens a device of the simulated kernel.
  public init(_ node: SimulatedBuses.Node, of buses: SimulatedBuses) throws(SystemError) {
    backing = .simulated(try buses.open(node))
    path = "simulated"
    identity = FileIdentityNumbers(device: Self.simulatedDeviceNumber, inode: UInt64(node.rawValue))
  }

  /// Takes an open device file over; it becomes non-blocking.
  public convenience init(adopting descriptor: consuming Descriptor, path: String) throws(SystemError) {
    try self.init(opened: Self.nonBlocking(consume descriptor, path), path)
  }

  private init(opened descriptor: consuming Descriptor, _ path: String) throws(SystemError) {
    identity = try Self.identity(of: descriptor, path)
    backing = .kernel(descriptor)
    self.path = path
  }

  private static func nonBlocking(_ descriptor: consuming Descriptor, _ path: String) throws(SystemError) -> Descriptor
  {
    let number = descriptor.rawValue
    _ = try retrying("fcntl(F_SETFL)", path) { Int(fcntl(number, F_SETFL, O_NONBLOCK)) }
    return descriptor
  }

  /// Takes ownership of the open file that an ioctl on `parent` returned.
  init(adopting number: Int32, from parent: BusDevice) throws(SystemError) {
    switch parent.backing {
    case .kernel:
      backing = .kernel(try Self.nonBlocking(Descriptor(adopting: number), parent.path))
    case .simulated(let file): backing = .simulated(try file.buses.adopt(number, watched: true))
    }
    path = parent.path
    identity = parent.identity
  }

  private static func identity(of descriptor: borrowing Descriptor, _ path: String) throws(SystemError)
    -> FileIdentityNumbers
  {
    let status = try descriptor.status()
    return status.kind == .characterDevice
      ? FileIdentityNumbers(device: status.specialDevice, inode: 0)
      : FileIdentityNumbers(device: status.device, inode: status.inode)
  }

  /// Whether an ioctl may wait for hardware.
  public var mayBlock: Bool {
    switch backing {
    case .kernel: true
    case .simulated: false
    }
  }

  /// What epoll and poll watch; nil where the simulated device never waits. Valid while this lives.
  public var readiness: Int32? {
    switch backing {
    case .kernel(let descriptor): descriptor.rawValue
    case .simulated(let file): file.readiness
    }
  }

  /// ioctl(2), not repeated after EINTR: part of a bus transaction may have happened.
  ///
  /// - Parameter argument: what `request` says, embedded pointers included.
  @unsafe
  func control(_ request: UInt32, _ argument: UnsafeMutableRawPointer?) throws(SystemError) -> Int {
    switch backing {
    case .kernel(let descriptor):
      // SAFETY: the caller gives what the request asks for.
      let result = unsafe clinux_bus_ioctl(descriptor.rawValue, request, argument)
      guard result >= 0 else { throw SystemError(errno: errno, operation: "ioctl", path: path) }
      return Int(result)
    case .simulated(let file):
      // SAFETY: the same.
      return try unsafe file.control(request, argument)
    }
  }

  /// Appends what can be read now.
  ///
  /// - Parameter limit: at most so many bytes, and at most the room in `output`.
  /// - Returns: how many bytes were appended; nil: nothing is there yet.
  public func read(upTo limit: Int, into output: inout OutputRawSpan) throws(SystemError) -> Int? {
    try unsafe output.withUnsafeMutableBytes { (buffer, filled) throws(SystemError) -> Int? in
      // SAFETY: only the free part of the buffer is given away.
      let free = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...].prefix(limit))
      guard let count = try unsafe readNow(free) else { return nil }
      filled += count
      return count
    }
  }

  /// Takes what the device can take now.
  ///
  /// - Returns: how many bytes were written; nil: none can be now.
  public func write(_ bytes: RawSpan) throws(SystemError) -> Int? {
    do {
      return try unsafe bytes.withUnsafeBytes { (buffer) throws(SystemError) -> Int in
        switch backing {
        case .kernel(let descriptor):
          let number = descriptor.rawValue
          // SAFETY: the buffer is valid during the call.
          return try retrying("write", path) { unsafe Glibc.write(number, buffer.baseAddress, buffer.count) }
        case .simulated(let file):
          // SAFETY: the same.
          return try unsafe file.write(buffer)
        }
      }
    } catch {
      guard error.errno == EAGAIN else { throw error }
      return nil
    }
  }

  /// read(2); nil instead of EAGAIN.
  @unsafe
  func readNow(_ buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int? {
    do {
      switch backing {
      case .kernel(let descriptor):
        let number = descriptor.rawValue
        // SAFETY: the caller's buffer is valid during the call.
        return try retrying("read", path) { unsafe Glibc.read(number, buffer.baseAddress, buffer.count) }
      case .simulated(let file):
        // SAFETY: the same.
        return try unsafe file.read(into: buffer)
      }
    } catch {
      guard error.errno == EAGAIN else { throw error }
      return nil
    }
  }

  /// poll(2) for input.
  ///
  /// - Returns: whether a read would find something, be it an end or an error.
  public func waitReadable(milliseconds: Int32) throws(SystemError) -> Bool {
    guard let readiness else { return true }
    return try pollReadable(readiness, milliseconds: milliseconds)
  }
}

/// poll(2) of one descriptor for input; true also where it has hung up or failed.
public func pollReadable(_ number: Int32, milliseconds: Int32) throws(SystemError) -> Bool {
  var watch = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
  // SAFETY: the structure is valid during the call.
  return try retrying("poll") { unsafe Int(poll(&watch, 1, milliseconds)) } > 0
}

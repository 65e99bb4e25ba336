import Authority
import Glibc
import Instructions
import Linux
import Synchronization

/// A block device or image file, or a byte range of one, opened with no more rights than its definition gives.
///
/// Offsets of instructions are relative to the grant's range. Unaligned requests are served: everything goes through
/// the page cache. Read-only definitions hold a read-only descriptor, so that no mistake above can write.
public final class DiskObject: OpenObject {
  /// The part of the device that the object covers, absolute.
  public let range: ByteRange
  /// What the path named when it was opened: a device number (inode 0) or a file.
  public let identity: FileIdentity

  let path: String
  let access: Access
  let geometry: DiskGeometry
  let descriptor: Descriptor
  /// Set by `recall`: nothing starts any more.
  let isRecalled = Atomic(false)
  /// Cleared when the file's driver turns out not to answer from the cache, which saves a call per read.
  let answersFromCache = Atomic(true)

  public var readiness: Int32? { nil }
  public var footprint: Footprint? { Footprint(device: identity, range: range) }

  /// The range is all of the device or image.
  public var isWhole: Bool { range.offset == 0 && range.length == geometry.size }

  /// A descriptor to give away, which can do no more than read, unless writing is granted too.
  public func giveAway(writable: Bool) throws(SystemError) -> Descriptor {
    try descriptor.reopen(writable && access == .readWrite ? .readWrite : .readOnly)
  }

  private init(
    path: String, access: Access, range: ByteRange, identity: FileIdentity, geometry: DiskGeometry,
    descriptor: consuming Descriptor
  ) {
    self.path = path
    self.access = access
    self.range = range
    self.identity = identity
    self.geometry = geometry
    self.descriptor = descriptor
  }

  /// Opens the device or image that the definition's path names; symbolic links (`/dev/disk/by-id/…`) are followed.
  ///
  /// - Parameter own: what the broker uses itself, which is never opened, under whatever name.
  /// - Throws: EINVAL for anything but a regular file or a block device, ERANGE for a range that ends behind the
  ///   device, EACCES for read-write access to a read-only device and for files of the kernel or the broker, and what
  ///   open(2) gives.
  public static func open(_ specification: DiskSpecification, own: BrokerFiles) throws(SystemError) -> DiskObject {
    let path = specification.path
    // First pinned, then judged, then opened for use: opening a device can already act on it (a tape rewinds, a tty
    // hangs), and what was judged is what gets opened, whatever happens to the name meanwhile.
    let pin = try Descriptor.pin(path)
    let pinned = try pin.status()
    guard pinned.kind == .regular || pinned.kind == .blockDevice else {
      throw SystemError(errno: EINVAL, operation: "open", path: path)
    }
    try own.check(pin, pinned, named: path)
    let descriptor = try reopen(pin, specification.access, path: path)
    let status = try descriptor.status()
    guard FileIdentity(status) == FileIdentity(pinned) else {
      throw SystemError(errno: ESTALE, operation: "open", path: path)
    }
    let geometry = try DiskGeometry(of: descriptor, status: status, path: path)
    if specification.access == .readWrite, geometry.isReadOnly {
      throw SystemError(errno: EACCES, operation: "open", path: path)
    }
    let range = specification.range ?? ByteRange(offset: 0, length: geometry.size)
    let (end, overflow) = range.offset.addingReportingOverflow(range.length)
    guard !overflow, end <= geometry.size else {
      throw SystemError(errno: ERANGE, operation: "range", path: path)
    }
    return DiskObject(
      path: path, access: specification.access, range: range, identity: FileIdentity(status), geometry: geometry,
      descriptor: descriptor)
  }

  private static func reopen(_ pin: borrowing Descriptor, _ access: Access, path: String) throws(SystemError)
    -> Descriptor
  {
    do {
      return try pin.reopen(access == .readOnly ? .readOnly : .readWrite)
    } catch {
      throw SystemError(errno: error.errno, operation: error.operation, path: path)
    }
  }

  /// Whether the path still names what was opened, with the same medium in it and the whole range there.
  ///
  /// false means `stale`: the object was replaced. A path that cannot be looked at counts as replaced.
  public func isCurrent() -> Bool {
    guard let pin = try? Descriptor.pin(path), let named = try? pin.status(), FileIdentity(named) == identity,
      let status = try? descriptor.status(), let now = try? DiskGeometry(of: descriptor, status: status, path: path)
    else { return false }
    return now.sequence == geometry.sequence && range.offset + range.length <= now.size
  }

  /// Nothing starts any more: every later operation fails with ESHUTDOWN.
  ///
  /// What the kernel is doing already (a pread on a pool thread) cannot be cancelled and ends by itself.
  public func recall() {
    isRecalled.store(true, ordering: .releasing)
  }
}

extension FileIdentity {
  /// A device file is its device, whatever its name; any other file is its file system and inode.
  init(_ status: FileStatus) {
    switch status.kind {
    case .blockDevice, .characterDevice: self.init(device: status.specialDevice, inode: 0)
    default: self.init(device: status.device, inode: status.inode)
    }
  }
}

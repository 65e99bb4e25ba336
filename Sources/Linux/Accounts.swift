import Glibc

/// The machine's user and group databases (getpwnam_r(3), getgrnam_r(3), getgrouplist(3)).
///
/// "There is none" is a nil; a look-up that failed throws, so that nobody takes one for the other.
public struct Accounts: Sendable {
  public struct User: Sendable, Hashable {
    public var name: String
    public var uid: UInt32
    /// The primary group.
    public var gid: UInt32

    public init(name: String, uid: UInt32, gid: UInt32) {
      self.name = name
      self.uid = uid
      self.gid = gid
    }
  }

  public init() {}

  public func user(named name: String) throws(SystemError) -> User? {
    try unsafe look("getpwnam_r", name) { entry, buffer, length, found in
      // SAFETY: `entry`, `buffer` and `found` live through the call and `length` is the buffer's.
      unsafe getpwnam_r(name, entry, buffer, length, found)
    }
  }

  public func user(id: UInt32) throws(SystemError) -> User? {
    try unsafe look("getpwuid_r", "\(id)") { entry, buffer, length, found in
      // SAFETY: as above.
      unsafe getpwuid_r(id, entry, buffer, length, found)
    }
  }

  public func groupID(named name: String) throws(SystemError) -> UInt32? {
    try unsafe Accounts.growing("getgrnam_r", name) { buffer, length in
      var entry = unsafe group()
      var found: UnsafeMutablePointer<group>?
      // SAFETY: all four live through the call and `length` is the buffer's; only the gid is kept.
      let code = unsafe getgrnam_r(name, &entry, buffer, length, &found)
      return (code, unsafe found.map { unsafe $0.pointee.gr_gid })
    }
  }

  /// Every group of a user, the primary one among them: what a session of that user would have.
  public func groupIDs(of user: User) throws(SystemError) -> [UInt32] {
    var capacity: Int32 = 64
    while capacity <= 65536 {
      var groups = [gid_t](repeating: 0, count: Int(capacity))
      var count = capacity
      // SAFETY: the array has `count` elements; getgrouplist(3) writes no more and sets `count` to what there is.
      let result = unsafe groups.withUnsafeMutableBufferPointer {
        unsafe getgrouplist(user.name, user.gid, $0.baseAddress, &count)
      }
      if result >= 0 { return Array(groups.prefix(Int(count))) }
      capacity = max(capacity * 2, count)
    }
    throw SystemError(errno: ERANGE, operation: "getgrouplist", path: user.name)
  }

  private func look(
    _ operation: String, _ subject: String,
    _ body: (
      UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int,
      UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
    ) -> Int32
  ) throws(SystemError) -> User? {
    try unsafe Accounts.growing(operation, subject) { buffer, length in
      var entry = unsafe passwd()
      var found: UnsafeMutablePointer<passwd>?
      // SAFETY: the entry's strings lie in `buffer`, which lives until the name has been copied.
      let code = unsafe body(&entry, buffer, length, &found)
      guard let record = unsafe found else { return (code, nil) }
      let name = unsafe record.pointee.pw_name.map { unsafe String(cString: $0) } ?? subject
      return (code, unsafe User(name: name, uid: record.pointee.pw_uid, gid: record.pointee.pw_gid))
    }
  }

  /// Calls with a larger buffer while the answer is ERANGE (a group may have thousands of members).
  private static func growing<Found>(
    _ operation: String, _ subject: String, _ body: (UnsafeMutablePointer<CChar>, Int) -> (Int32, Found?)
  ) throws(SystemError) -> Found? {
    var length = 4096
    while length <= 16 << 20 {
      var buffer = [CChar](repeating: 0, count: length)
      // SAFETY: the pointer is used only during the call, with the array's own length.
      let (code, found) = unsafe buffer.withUnsafeMutableBufferPointer { bytes -> (Int32, Found?) in
        guard let base = bytes.baseAddress else { return (ENOMEM, nil) }
        return unsafe body(base, bytes.count)
      }
      switch code {
      // Some name services say "none" by these (getpwnam(3), ERRORS).
      case 0, ENOENT, ESRCH: return found
      case EINTR: continue
      case ERANGE: length *= 4
      default: throw SystemError(errno: code, operation: operation, path: subject)
      }
    }
    throw SystemError(errno: ERANGE, operation: operation, path: subject)
  }
}

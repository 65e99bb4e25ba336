import CLinux

/// The machine's user database, as nsswitch.conf(5) composes it.
public enum Accounts {
  /// The uid of `name` (getpwnam_r(3)); nil: there is no such user.
  public static func userID(named name: String) throws(SystemError) -> UInt32? {
    guard !name.utf8.contains(0) else { return nil }
    var id: UInt32 = 0
    // SAFETY: the string lives during the call, which writes four bytes.
    let found = try retrying("getpwnam", name) { unsafe Int(clinux_user_id(name, &id)) }
    return found == 1 ? id : nil
  }

  /// The gid of `name` (getgrnam_r(3)); nil: there is no such group.
  public static func groupID(named name: String) throws(SystemError) -> UInt32? {
    guard !name.utf8.contains(0) else { return nil }
    var id: UInt32 = 0
    // SAFETY: as above.
    let found = try retrying("getgrnam", name) { unsafe Int(clinux_group_id(name, &id)) }
    return found == 1 ? id : nil
  }
}

import Glibc

/// Whether the mode of a file allows an access to a process, as far as path_resolution(7) goes: without access control
/// lists and file systems' own rules. For telling refusals from calls that need no grant; it decides nothing.
public enum FilePermission {
  public static func allows(_ file: borrowing Descriptor, _ access: Served.Access, to thread: ThreadFacts)
    throws(SystemError) -> Bool
  {
    if thread.holds(.dacOverride) { return true }
    let owner = try file.ownership()
    let wanted: UInt32 =
      switch access {
      case .readOnly: 4
      case .writeOnly: 2
      case .readWrite: 6
      }
    let shift: UInt32 =
      if owner.user == thread.fsUID {
        6
      } else if owner.group == thread.fsGID || thread.groups.contains(owner.group) {
        3
      } else {
        0
      }
    return owner.mode >> shift & wanted == wanted
  }
}

extension Descriptor {
  /// Owner, group and permission bits (fstat(2)).
  public borrowing func ownership() throws(SystemError) -> (user: UInt32, group: UInt32, mode: UInt32) {
    let number = rawValue
    var information = stat()
    _ = try retrying("fstat") {
      // SAFETY: the structure is written by the call.
      unsafe Int(fstat(number, &information))
    }
    return (information.st_uid, information.st_gid, UInt32(information.st_mode))
  }
}

/// Where user and group names become numbers: the machine's database, or a table in a test.
public protocol AccountDirectory {
  /// The uid of a user name; nil: there is none.
  func userID(named name: String) -> UInt32?
  /// The gid of a group name; nil: there is none.
  func groupID(named name: String) -> UInt32?
}

import Linux
import Policy

/// The machine's own user and group databases, for the policy reader. A look-up that fails names nobody.
public struct SystemAccounts: AccountDirectory, Sendable {
  public init() {}

  public func userID(named name: String) -> UInt32? {
    guard let found = try? Accounts().user(named: name) else { return nil }
    return found.uid
  }

  public func groupID(named name: String) -> UInt32? {
    guard let found = try? Accounts().groupID(named: name) else { return nil }
    return found
  }
}

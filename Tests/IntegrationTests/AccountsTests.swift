import Linux
import TestSupport
import Testing

@Suite struct AccountsTests {
  @Test func `root is user 0 by name and by number`() throws {
    let root = try #require(try Accounts().user(named: "root"))
    #expect(root == Accounts.User(name: "root", uid: 0, gid: 0))
    #expect(try Accounts().user(id: 0) == root)
  }

  @Test func `a name that nobody has is nil and no error`() throws {
    #expect(try Accounts().user(named: "no-such-user-of-postern") == nil)
    #expect(try Accounts().groupID(named: "no-such-group-of-postern") == nil)
  }

  @Test func `an empty name and one with odd bytes are nobody's`() throws {
    #expect(try Accounts().user(named: "") == nil)
    #expect(try Accounts().user(named: "a:b\nc") == nil)
  }

  @Test func `the group of number 0 is root`() throws {
    #expect(try Accounts().groupID(named: "root") == 0)
  }

  @Test func `a user's groups hold the primary one`() throws {
    let root = try #require(try Accounts().user(named: "root"))
    #expect(try Accounts().groupIDs(of: root).contains(0))
  }
}

import Linux
import Testing

@testable import Broker

/// What a broker takes back from processes to which an earlier broker had given something.
@Suite struct LeftoverTests {
  @Test func `who had closed the object before is not ended as if it had it mapped`() {
    #expect(Leftover(of: .dropped) == .calls)
  }

  @Test(arguments: [AssociationState.revoked, .expired, .stale])
  func `nor who is told that what it had has ended`(state: AssociationState) {
    #expect(Leftover(of: state) == .calls)
  }

  @Test func `whose association ends now may have it mapped`() { #expect(Leftover(of: .live) == .uses) }

  @Test func `who has not execed what it said has used nothing`() { #expect(Leftover(of: .departed) == .nothing) }
}

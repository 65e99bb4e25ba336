import Instructions
import Testing
import Wire

/// Requests of the path ring that come where they have no place.
@Suite struct RingRequestTests {
  private static let enrol = Request.enrol(Enrol(nonce: Nonce(low: 1, high: 2), ring: 0))

  @Test func `a ring that nobody waits for ends the connection`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      guard case .failed = try attacker.ask(Self.enrol, on: socket) else {
        Issue.record("it was served")
        return
      }
    }
  }

  @Test func `a ring in place of the second message of an open is refused`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      guard case .challenge(let nonce) = try attacker.ask(.open(Open(object: "registers")), on: socket) else {
        Issue.record("no challenge")
        return
      }
      guard case .refused = try attacker.ask(.enrol(Enrol(nonce: nonce, ring: 0)), on: socket) else {
        Issue.record("it was taken")
        return
      }
    }
  }
}

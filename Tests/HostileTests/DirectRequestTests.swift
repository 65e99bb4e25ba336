import Instructions
import Testing
import Wire

/// The requests of the path direct, from somebody who holds nothing on it.
@Suite(.serialized) struct DirectRequestTests {
  @Test(arguments: ["registers", "scratch", "door", "no-such-object", ""])
  func `whoever descends from no holder of an object gets no association by its name`(object: String) throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      var reply = try attacker.ask(.revalidateObject(object), on: socket)
      if case .challenge(let nonce) = reply { reply = try attacker.ask(.confirm(nonce), on: socket) }
      guard case .refused = reply else {
        Issue.record("\(object): \(reply)")
        return
      }
    }
  }

  @Test func `an association on another path cannot be given up by its number, and neither can one that is not there`()
    throws
  {
    try Target.run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      let channel = try attacker.open("registers", on: socket)
      let own = channel.opened.association
      for number in [own.rawValue, own.rawValue + 1, 0, .max] {
        guard case .refused = try attacker.ask(.release(AssociationID(rawValue: number), ring: 0), on: socket) else {
          Issue.record("\(number) was given up")
          return
        }
      }
      #expect(try attacker.transfer(on: channel.socket).reason == nil, "the association is gone all the same")
    }
  }

  @Test func `with a descriptor attached these requests are malformed`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let null = try #require(Int(try attacker("null")))
      for request in [Request.revalidateObject("registers"), .release(AssociationID(rawValue: 1), ring: 0)] {
        let socket = try attacker.connection()
        guard case .failed = try attacker.ask(request, on: socket, attaching: 1, of: null) else {
          Issue.record("\(request) was served")
          return
        }
        try attacker("close \(socket)")
      }
    }
  }
}

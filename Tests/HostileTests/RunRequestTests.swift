import Foundation
import Glibc
import Instructions
import Testing
import Wire

/// The requests of `postern run` and `postern open`, from somebody who means harm.
@Suite(.serialized) struct RunRequestTests {
  private static let secret = "a-secret-place"

  private static var policy: String {
    Target.policy.replacing(
      "applications:",
      with:
        "  sealed: { kind: disk, path: $FOLDER/\(secret), message: \"ask the vault\" }\napplications:\n  other: { user: root, executable: /bin/false }"
    ).replacing(
      "limits:",
      with: "  - { application: other, object: sealed, operations: [read], handover: true }\nlimits:")
  }

  @Test func `what is no seccomp listener is refused, and nothing of it is kept`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let null = try #require(Int(try attacker("null")))
      let lingering = try #require(Int(try attacker("linger")))
      let socket = try attacker.connection()
      let before = target.usage.descriptors
      for descriptor in [null, socket, lingering, 0] {
        guard case .failed = try attacker.ask(.supervise(.all), on: socket, attaching: 1, of: descriptor) else {
          Issue.record("descriptor \(descriptor) was taken for a listener")
          return
        }
      }
      #expect(target.settled(below: before).descriptors <= before)
    }
  }

  @Test(arguments: [0, 2, 17])
  func `with another number of descriptors these requests are malformed`(count: Int) throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let null = try #require(Int(try attacker("null")))
      let before = target.usage.descriptors
      for request in [Request.supervise(.all), .handOver(HandOver(object: "registers"))] {
        let socket = try attacker.connection()
        guard case .failed = try attacker.ask(request, on: socket, attaching: count, of: null) else {
          Issue.record("\(request) was served with \(count) descriptors")
          return
        }
        try attacker("close \(socket)")
      }
      #expect(target.settled(below: before + 2).descriptors <= before + 2)
    }
  }

  @Test func `a plan tells nothing of what is somebody else's`() throws {
    try Target.run(Self.policy) { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      guard case .plan(let all) = try attacker.ask(.plan(PlanQuery()), on: socket),
        case .plan(let named) = try attacker.ask(.plan(PlanQuery(object: "sealed")), on: socket),
        case .plan(let unknown) = try attacker.ask(.plan(PlanQuery(object: "no-such-object")), on: socket)
      else {
        Issue.record("no plan")
        return
      }
      // An administrator of this broker may be its own user.
      guard geteuid() == 0 else { return }
      #expect(all.rows.allSatisfy { $0.object != "sealed" })
      var told = named.rows
      for index in told.indices { told[index].object = "no-such-object" }
      #expect(told == unknown.rows, "it is told apart from an object that does not exist")
      #expect(!"\(named.rows)".contains(Self.secret) && !"\(named.rows)".contains("vault"))
    }
  }

  @Test func `an object is not handed over without a grant that says so, whatever is claimed`() throws {
    try Target.run(Self.policy) { target in
      let attacker = try target.hostile()
      let null = try #require(Int(try attacker("null")))
      let socket = try attacker.connection()
      for object in ["registers", "scratch", "door", "sealed", "no-such-object"] {
        guard
          case .refused(let refused) = try attacker.ask(
            .handOver(HandOver(object: object)), on: socket, attaching: 1, of: null)
        else {
          Issue.record("\(object) was handed over")
          return
        }
        // Its own grants lack `handover: true`; of the others it may not know.
        let isGranted = ["registers", "scratch", "door"].contains(object)
        #expect(refused.refusal.reason == (isGranted ? .refused : .noSuchObject), "\(object)")
      }
    }
  }
}

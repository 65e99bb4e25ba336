import Foundation
import Glibc
import TestSupport
import Testing

/// Programs that have one listener in a ring each.
@Suite(.enabled(if: Tier.rings, "rings of others need root")) struct RingSharingTests {
  /// Two holders, and somebody who connects.
  private func shared(
    _ policy: String = RingPolicies.listener(),
    _ body: (Scene, _ leaver: Dialogue, _ other: Dialogue, _ client: Dialogue) throws -> Void
  ) throws {
    try Scene.run(policy) { scene in
      let programs = try (0..<3).map { _ in try scene.start("library-ring", arguments: []) }
      for holder in programs.prefix(2) {
        _ = try holder("ring")
        #expect(try holder("open web") == "0")
      }
      try body(scene, programs[0], programs[1], programs[2])
    }
  }

  private func connect(_ client: Dialogue, _ scene: Scene) throws -> String {
    try client("connect \(scene.address) 7778")
  }

  /// Somebody connects, and the program gets the connection.
  private func serves(_ program: Dialogue, _ client: Dialogue, _ scene: Scene) throws {
    #expect(try connect(client, scene) == "0")
    let accepted = try program("do accept")
    #expect(Int(accepted) ?? -1 > 2, "\(accepted)")
  }

  private func ends(of object: String, _ scene: Scene) throws -> [String] {
    try scene.journal().filter { ($0.kind == "drop" || $0.kind == "revoke") && $0.object == object }.compactMap(\.cause)
  }

  /// A revoke takes the listener from who is left.
  private func isTakenFromAll(_ other: Dialogue, _ client: Dialogue, _ scene: Scene) throws {
    _ = try other("start accept")
    #expect(try scene.postern("revoke", "--object", "web").status == 0)
    // ECANCELED, or EINVAL where the listener was shut down first.
    let result = try other("end")
    #expect(result.hasPrefix("E"), "\(result)")
    #expect(try other("do accept") == "EBADF")
    #expect(try connect(client, scene) == "ECONNREFUSED")
  }

  @Test func `who gives a listener up takes it from nobody, and a revoke takes it from all`() throws {
    try shared { scene, leaver, other, client in
      _ = try other("start accept")
      _ = try leaver("start accept")
      #expect(try leaver("close") == "0")
      #expect(try leaver("end") == "ECANCELED")
      #expect(try leaver("do accept") == "EBADF")
      #expect(try connect(client, scene) == "0")
      #expect(Int(try other("end")) ?? -1 > 2)
      try serves(other, client, scene)
      try isTakenFromAll(other, client, scene)
    }
  }

  @Test func `who ends takes a listener from nobody, and a revoke takes it from all`() throws {
    try shared { scene, leaver, other, client in
      _ = try leaver("start accept")
      kill(leaver.pid, SIGKILL)
      #expect(try eventually { try scene.associations().count == 1 })
      try serves(other, client, scene)
      try isTakenFromAll(other, client, scene)
    }
  }

  @Test func `who executes another program takes a listener from nobody, and a revoke takes it from all`() throws {
    try shared { scene, leaver, other, client in
      #expect(try leaver("exec accept") == "EBADF")
      #expect(try scene.associations().count == 1)
      try serves(other, client, scene)
      try isTakenFromAll(other, client, scene)
    }
  }

  @Test func `what one has left, its expiry takes from all, and the next open makes anew`() throws {
    try shared(RingPolicies.listener(grant: ", expires: 6s")) { scene, leaver, _, client in
      // Opened when the first is two seconds old, so that what is left of that ends earlier.
      usleep(2_000_000)
      let late = try scene.start("library-ring", arguments: [])
      _ = try late("ring")
      #expect(try late("open web") == "0")
      #expect(try leaver("close") == "0")
      try serves(late, client, scene)
      #expect(try eventually { try late("do accept") == "EBADF" })
      #expect(try ends(of: "web", scene).contains("replaced"))
      _ = try late("ring")
      #expect(try late("open web") == "0")
      try serves(late, client, scene)
    }
  }

  /// A child shares its parent's socket, and gives it up while a request that nobody finds is kept. What that receives then.
  private func kept(_ body: (Scene, _ parent: Dialogue) throws -> Void) throws -> String {
    var result = ""
    try Scene.run(RingPolicies.udp(), application: .own) { scene in
      let parent = try scene.start("library-ring", arguments: [])
      _ = try parent("ring")
      #expect(try parent("open dns") == "0")
      try scene.sendDatagram("early")
      #expect(try parent("child dns receive-later") == "1")
      #expect(try eventually { try scene.associations().count == 1 })
      // It was taken from nobody else.
      #expect(try parent("do receive") == "\("early".utf8.count)")
      try body(scene, parent)
      try scene.sendDatagram("late")
      result = try parent("child-end")
    }
    return result
  }

  @Test func `what its leaver's thread had not come to is taken with the revoke`() throws {
    let result = try kept { (scene: Scene, parent: Dialogue) throws in
      #expect(try scene.postern("revoke", "--object", "dns").status == 0)
      #expect(try parent("do receive") == "EBADF")
    }
    #expect(result == "0")
  }

  @Test func `without a revoke it goes on`() throws {
    #expect(try kept { _, _ in } == "\("late".utf8.count)")
  }

  @Test(arguments: ["image", "dns", "web"])
  func `of two rings of one program with the same object each is given up by itself`(_ object: String) throws {
    try Scene.run(RingPolicies.own) { scene in
      let process = try scene.start([try Programs.path("library-ring-count"), scene.socket, object], as: .own)
      #expect(try process("open") == "0")
      // A hand has children at times.
      func holds(_ count: Int) throws -> Bool { try eventually { try scene.ringHolders().hands.count == count } }
      #expect(try holds(1))
      #expect(try process("again") == "0")
      #expect(try holds(2))
      #expect(try process("close") == "0")
      #expect(try holds(1))
      #expect(try scene.associations().map(\.path) == ["ring"])
      if object == "image" { #expect(try process("read 1") == "1") }
      if object == "dns" {
        #expect(try process("fork") == "-11")
        try scene.sendDatagram("hello")
        #expect(try process("received") == "5")
      }
    }
  }
}

import TestSupport
import Testing

/// A ring does not see addresses: where a grant allows one destination, what is in the slot goes nowhere else.
@Suite(.enabled(if: Tier.rings, "rings of others need root")) struct RingSendTests {
  /// A program with a socket at this port.
  private func receiver(_ scene: Scene, port: Int) throws -> Dialogue {
    let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: .own)
    #expect(try process("twin-udp \(scene.address) \(port)") == "0")
    #expect(try process("start receive") == "1")
    return process
  }

  @Test func `a socket that may send to one place sends there, and no request names another`() throws {
    try Scene.run(RingPolicies.connected) { scene in
      let allowed = try receiver(scene, port: 7779)
      let other = try receiver(scene, port: 7780)
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open dns") == "0")
      #expect(try process("to \(scene.address) 7780") == "0")
      for request in ["send-to", "send"] { #expect(try process("do \(request)") == "EACCES", "\(request)") }
      #expect(try process("do write") == "11")
      #expect(try allowed("end") == "11")
      #expect(try other("ends") == "0")
    }
  }

  /// The same socket on a ring that takes every request.
  @Test func `without the restriction a connected socket sends to any place that a request names`() throws {
    try Scene.run(RingPolicies.connected) { scene in
      let other = try receiver(scene, port: 7780)
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: .own)
      #expect(try process("twin-udp \(scene.address) 7781") == "0")
      #expect(try process("join \(scene.address) 7779") == "0")
      #expect(try process("to \(scene.address) 7780") == "0")
      #expect(try process("do send-to") == "5")
      #expect(try other("end") == "5")
    }
  }

  @Test func `what comes from elsewhere is not received`() throws {
    try Scene.run(RingPolicies.connected) { scene in
      let allowed = try receiver(scene, port: 7779)
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open dns") == "0")
      #expect(try process("start receive") == "1")
      try scene.sendDatagram("strange")
      #expect(try process("ends") == "0")
      #expect(try allowed("to \(scene.address) 7777") == "0")
      #expect(try allowed("do send-to") == "5")
      #expect(try process("end") == "5")
    }
  }

  @Test func `the library sends without an address, and refuses one`() throws {
    try Scene.run(RingPolicies.connected) { scene in
      let allowed = try receiver(scene, port: 7779)
      let process = try scene.start("library-ring-count", arguments: ["dns"])
      #expect(try process("open") == "0")
      #expect(try process("send 7780") == "-1")
      #expect(try process("send") == "5")
      #expect(try allowed("end") == "5")
    }
  }
}

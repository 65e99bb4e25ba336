import Foundation
import Glibc
import TestSupport
import Testing

/// What is left of a ring after its end: in flight where nothing can cancel it, queued, in a cache, or with a hand that was killed.
@Suite(.serialized, .enabled(if: Tier.rings, "rings of others need root")) struct RingTakeBackTests {
  /// What becomes of a request that only the thread itself would come to, which is kept in a page fault during the recall. By a
  /// program of the broker's own user: others can keep a thread so for a while, but not for as long as they like.
  private func stalled(_ scene: Scene, _ process: Dialogue, port: Int, _ recall: () throws -> Void) throws -> String {
    try scene.sendDatagram("early", port: port)
    #expect(try process("stall receive-later") == "1")
    try recall()
    try scene.sendDatagram("late", port: port)
    #expect(try process("stalled") == "1")
    return try process("end")
  }

  private func revoke(_ object: String, _ scene: Scene) throws {
    let revoked = try scene.postern("revoke", "--object", object)
    #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
  }

  @Test func `a request whose thread is kept from it has nothing after the revoke`() throws {
    try Scene.run(RingPolicies.udp(), application: .own) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open dns") == "0")
      let result = try stalled(scene, process, port: 7777) { try revoke("dns", scene) }
      #expect(result == "0")
    }
  }

  /// The slots emptied, and cancelled until there is nothing that could be.
  @Test func `without the recall of the socket it would receive`() throws {
    try Scene.run(RingPolicies.udp(), application: .own) { scene in
      let process = try scene.start("library-ring", arguments: [])
      #expect(try process("twin-udp \(scene.address) 7779") == "0")
      let result = try stalled(scene, process, port: 7779) { _ = try process("cancel") }
      #expect(result == "\("early".utf8.count)")
    }
  }

  /// 64 MiB: their way to the image takes longer than the next holder needs.
  private func overwriting(_ scene: Scene, _ process: Dialogue, _ recall: () throws -> Void) throws -> Int {
    let size = 64 << 20
    #expect(try process("put W") == "\(size)")
    let next = Data(repeating: UInt8(ascii: "B"), count: size)
    try recall()
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: scene.image))
    try file.write(contentsOf: next)
    try file.close()
    #expect(try eventually { try scene.loopDevices() == 0 })
    usleep(500_000)
    return try Data(contentsOf: URL(fileURLWithPath: scene.image)).count { $0 != UInt8(ascii: "B") }
  }

  private func enlarge(_ scene: Scene) throws {
    try Data(repeating: UInt8(ascii: "A"), count: 64 << 20).write(to: URL(fileURLWithPath: scene.image))
  }

  @Test func `nothing of a revoked writer comes over what the next holder writes`() throws {
    try Scene.run(RingPolicies.image(object: ", access: read-write", operations: "read, write")) { scene in
      try enlarge(scene)
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      let strange = try overwriting(scene, process) { try revoke("image", scene) }
      #expect(strange == 0)
    }
  }

  @Test func `without the flush it would`() throws {
    try Scene.run(Policies.image()) { scene in
      try enlarge(scene)
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: .own)
      #expect(try process("twin-disk \(scene.image)") == "0")
      let strange = try overwriting(scene, process) { _ = try process("leave") }
      #expect(strange > 0)
    }
  }

  @Test func `when its hand is killed a socket is of no use any more`() throws {
    try Scene.run(RingPolicies.udp(operations: "receive, send")) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open dns") == "0")
      for hand in try scene.ringHolders().hands { kill(hand, SIGKILL) }
      #expect(try eventually { try scene.associations().isEmpty })
      #expect(try eventually { try process("do send").hasPrefix("E") })
      _ = try process("start receive")
      try scene.sendDatagram("late")
      let received = try process("end")
      #expect(Int(received) ?? 0 <= 0, "\(received)")
    }
  }

  @Test func `when its hand is killed a disk is of no use any more`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      for hand in try scene.ringHolders().hands { kill(hand, SIGKILL) }
      #expect(try eventually { try scene.associations().isEmpty })
      #expect(try eventually { try process("do read") != "512" })
    }
  }

  /// Nobody is left but the broker.
  private func withoutHands(_ policy: String, _ object: String, _ body: (Scene, Dialogue) throws -> Void) throws {
    try Scene.run(policy) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open \(object)") == "0")
      let holders = try scene.ringHolders()
      for victim in [holders.forker] + holders.hands { kill(victim, SIGKILL) }
      #expect(try eventually { try scene.associations().isEmpty })
      try body(scene, process)
      #expect(try scene.postern("doctor").output.contains("the process that holds rings has ended"))
      let said = try scene.journal().compactMap(\.message)
      #expect(!said.contains { $0.contains("cannot recall") }, "\(said)")
      process.end()
      #expect(try eventually { try scene.loopDevices() == 0 })
    }
  }

  @Test func `when the process that forks hands is killed too the broker takes back a disk`() throws {
    let writable = RingPolicies.image(object: ", access: read-write", operations: "read, write")
    try withoutHands(writable, "image") { (scene: Scene, process: Dialogue) throws in
      #expect(try eventually { try process("do read") == "0" })
      #expect(try process("do write") == "ENOSPC")
    }
  }

  @Test func `when the process that forks hands is killed too the broker takes back a datagram socket`() throws {
    try withoutHands(RingPolicies.udp(operations: "receive, send"), "dns") { (scene: Scene, process: Dialogue) throws in
      #expect(try eventually { try process("do send").hasPrefix("E") })
      _ = try process("start receive")
      try scene.sendDatagram("late")
      let received = try process("end")
      #expect(Int(received) ?? 0 <= 0, "\(received)")
    }
  }

  @Test func `when the process that forks hands is killed too the broker takes back a listener`() throws {
    try withoutHands(RingPolicies.listener(), "web") { (scene: Scene, process: Dialogue) throws in
      #expect(try eventually { try process("connect \(scene.address) 7778") == "ECONNREFUSED" })
      #expect(try process("do accept") == "EINVAL")
    }
  }

  @Test func `when the process that forks hands is killed its hands still take back`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      kill(try scene.ringHolders().forker, SIGKILL)
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      #expect(try process("do read") == "EBADF")
      _ = try process("ring")
      #expect(try process("open image") != "0")
    }
  }
}

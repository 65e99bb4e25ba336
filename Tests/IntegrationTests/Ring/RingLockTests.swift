import Glibc
import TestSupport
import Testing

/// A program that holds its ring's lock for as long as it likes, so that nobody empties the slots: by a page fault in the middle of a
/// submission, whose next request is about the object. By the broker's own user: others can hold it for seconds only.
@Suite(.enabled(if: Tier.rings, "rings of others need root")) struct RingLockTests {
  @Test func `a program that holds its ring's lock over the revoke reads nothing afterwards`() throws {
    try Scene.run(RingPolicies.image(), application: .own) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      #expect(try process("lock read") == "1")
      let revoked = try scene.postern("revoke", "--object", "image", "--timeout", "4")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      // The device begins behind everything.
      let devices = try Command.demand(["/sbin/losetup", "--list", "--noheadings", "--output", "BACK-FILE,OFFSET"])
      let ours = devices.split(separator: "\n").filter { $0.hasPrefix(scene.image) }
      #expect(ours.count == 1, "\(devices)")
      #expect(ours.allSatisfy { $0.split(separator: " ").last.flatMap { Int64($0) } ?? 0 > Int64.max / 2 }, "\(ours)")
      let read = try process("unlock")
      #expect(read == "0")
      #expect(try eventually { try process("do read") == "EBADF" })
      #expect(try eventually { try scene.loopDevices() == 0 })
    }
  }

  /// The slots emptied alone: whoever does it waits, and the request that follows finds the disk.
  @Test func `without the recall of the device it would read`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: .own)
      #expect(try process("twin-disk \(scene.image)") == "0")
      #expect(try process("lock read") == "1")
      #expect(try process("apart") == "1")
      #expect(try process("unlock") == "512")
      #expect(try eventually { try process("do read") == "EBADF" })
    }
  }

  @Test func `a program that holds its ring's lock over the revoke receives nothing afterwards`() throws {
    try Scene.run(RingPolicies.udp(), application: .own) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open dns") == "0")
      #expect(try process("lock receive") == "1")
      try scene.sendDatagram("early")
      let revoked = try scene.postern("revoke", "--object", "dns", "--timeout", "4")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      try scene.sendDatagram("late")
      // ECANCELED where it is cancelled before it has found the socket shut down.
      let received = try process("unlock")
      #expect(["0", "ECANCELED"].contains(received), "\(received)")
      #expect(try eventually { try process("do receive") == "EBADF" })
    }
  }

  @Test func `without the recall of the socket it would receive what came before and after`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: .own)
      #expect(try process("twin-udp \(scene.address) 7779") == "0")
      #expect(try process("lock receive") == "1")
      try scene.sendDatagram("early", port: 7779)
      #expect(try process("apart") == "1")
      #expect(try process("unlock") == "\("early".utf8.count)")
    }
  }

  @Test func `a program that holds its ring's lock over the revoke accepts nothing afterwards`() throws {
    try Scene.run(RingPolicies.own, application: .own) { scene in
      let process = try scene.start("library-ring", arguments: [])
      let client = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open web") == "0")
      #expect(try process("lock accept") == "1")
      #expect(try client("connect \(scene.address) 7778") == "0")
      let revoked = try scene.postern("revoke", "--object", "web", "--timeout", "4")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(try client("connect \(scene.address) 7778") == "ECONNREFUSED")
      let accepted = try process("unlock")
      #expect(accepted == "EINVAL")
    }
  }

  @Test func `without the recall of the listener it would accept`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: .own)
      let client = try scene.start("library-ring", arguments: [])
      #expect(try process("twin-tcp \(scene.address) 7780") == "0")
      #expect(try process("lock accept") == "1")
      #expect(try client("connect \(scene.address) 7780") == "0")
      #expect(try process("apart") == "1")
      #expect(Int(try process("unlock")) ?? -1 > 2)
    }
  }
}

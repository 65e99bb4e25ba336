import Foundation
import TestSupport
import Testing

/// What a revoke blocks, over the end of the broker that was told of it.
@Suite struct StandingRevokeTests {
  private static let grant = ["grant", "--application", "app", "--object", "image", "--operations", "read"]

  private func restart(_ scene: Scene) throws {
    scene.killBroker()
    try scene.startAgain()
  }

  @Test func `a revoke stands when the broker was killed, until a grant, which stands too`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      #expect(try process("open image") == "revoked")
      try restart(scene)
      #expect(try process("reopen image") == "revoked")
      #expect(try scene.actor()("open image") == "revoked")
      let asked = try scene.postern("can-i", "read", "image", as: scene.applicationUser)
      #expect(asked.status == 1)
      #expect((asked.output + asked.errors).contains("revoked"), "\(asked)")
      let granted = try scene.postern(Self.grant)
      #expect(granted.status == 0, "\(granted.errors)")
      #expect(try process("reopen image") == "ok")
      // What was lifted is written by the time the broker has ended in order.
      #expect(scene.stopBroker() == 0)
      try scene.startAgain()
      #expect(try process("reopen image") == "ok")
    }
  }

  @Test func `without a revoke a process opens again when the broker was killed`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      try restart(scene)
      #expect(try process("reopen image") == "ok")
    }
  }

  @Test func `a revoke stands when the broker was stopped in order, until a reload ends it for good`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try scene.postern("revoke", "--application", "app").status == 0)
      #expect(scene.stopBroker() == 0)
      try scene.startAgain()
      #expect(try process("reopen image") == "revoked")
      #expect(try scene.postern("reload").status == 0)
      #expect(try process("reopen image") == "ok")
      #expect(scene.stopBroker() == 0)
      try scene.startAgain()
      #expect(try process("reopen image") == "ok")
    }
  }

  @Test func `the next broker refuses the process that was named and whom it forks, and nobody else`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try scene.postern("revoke", "--pid", "\(parent.pid)").status == 0)
      _ = try parent("fork")
      scene.killBroker()
      _ = try parent("fork")
      try scene.startAgain()
      #expect(try parent("reopen image") == "revoked")
      for child in 0..<3 { #expect(try parent("child \(child) reopen image") == "revoked") }
      #expect(try scene.actor()("open image") == "ok")
    }
  }

  @Test func `the next broker refuses a grandchild of the one who was named, whose parents have ended`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try scene.postern("revoke", "--pid", "\(parent.pid)").status == 0)
      _ = try parent("double-fork")
      // It has been seen, and what the broker writes of it by itself has been written.
      #expect(try parent("child 0 open image") == "revoked")
      let grandchild = try parent("child 0 pid")
      #expect(eventually { (try? scene.read("state/revokes"))?.contains("process \(grandchild) ") ?? false })
      try restart(scene)
      #expect(try parent("child 0 reopen image") == "revoked")
      try restart(scene)
      #expect(try parent("child 0 reopen image") == "revoked")
    }
  }

  @Test func `who was forked while no broker lived is written down by the next one`() throws {
    try Scene.run(Policies.image()) { scene in
      let parent = try scene.actor()
      #expect(try scene.postern("revoke", "--pid", "\(parent.pid)").status == 0)
      scene.killBroker()
      _ = try parent("fork")
      let child = try parent("child 0 pid")
      try scene.startAgain()
      #expect(eventually { (try? scene.read("state/revokes"))?.contains("process \(child) ") ?? false })
    }
  }

  @Test func `a file that cannot be read means that everything is revoked, until a reload`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try scene.postern("revoke", "--pid", "\(process.pid)").status == 0)
      scene.killBroker()
      try scene.write("state/revokes", try scene.read("state/revokes").replacing("process ", with: "process 1"))
      try scene.startAgain()
      let told = "state/revokes cannot be read: its checksum is wrong: everything counts as revoked"
      #expect(scene.errors.contains(told), "\(scene.errors)")
      #expect(try scene.actor()("open image") == "revoked")
      try restart(scene)
      #expect(try scene.actor()("open image") == "revoked")
      #expect(try scene.postern("reload").status == 0)
      #expect(try scene.actor()("open image") == "ok")
      #expect(try scene.journal().contains { $0.message?.contains("cannot be read") ?? false })
    }
  }

  @Test func `processes of another boot are forgotten, and what names none stands`() throws {
    try Scene.run(Policies.imageAndListener) { scene in
      let process = try scene.actor()
      #expect(try scene.postern("revoke", "--object", "image", "--pid", "\(process.pid)").status == 0)
      #expect(try scene.postern("revoke", "--object", "web").status == 0)
      scene.killBroker()
      let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8).prefix(36)
      let text = try scene.read("state/revokes").replacing(boot, with: "00000000-0000-4000-8000-000000000000")
      try scene.write("state/revokes", RevokesOnDisk.sealed(text))
      try scene.startAgain()
      #expect(try process("reopen image") == "ok")
      #expect(try process("reopen web") == "revoked")
    }
  }

  @Test func `a revoke that cannot be noted takes effect, and says that it is not kept`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      try FileManager.default.createDirectory(
        atPath: scene.folder + "/state/revokes", withIntermediateDirectories: false)
      let revoked = try scene.postern("revoke", "--object", "image")
      #expect(revoked.status == 74, "\(revoked.output)")
      #expect(revoked.errors.contains("1 of 1 recalled, but a broker after this one does not know of it"))
      #expect(try process("open image") == "revoked")
      try FileManager.default.removeItem(atPath: scene.folder + "/state/revokes")
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      try restart(scene)
      #expect(try process("reopen image") == "revoked")
    }
  }

  @Test(.enabled(if: Tier.root && Tier.has("mkfs.ext4", "fsfreeze"), "needs root, mkfs.ext4 and fsfreeze"))
  func `a disk that hangs does not hold up a revoke, nor who gave it`() throws {
    try Scene.run(Policies.image()) { scene in
      scene.killBroker()
      let (disk, state) = (scene.folder + "/disk", scene.folder + "/state")
      try Command.demand(["/usr/bin/truncate", "--size", "16M", disk])
      try Command.demand(["/usr/sbin/mkfs.ext4", "-q", disk])
      try Command.demand(["/usr/bin/mount", "-o", "loop", disk, state])
      defer { _ = try? Command.run(["/usr/bin/umount", "--lazy", state]) }
      try Command.demand(["/usr/bin/chmod", "700", state])
      try scene.startAgain()
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      try Command.demand(["/usr/sbin/fsfreeze", "--freeze", state])
      defer { _ = try? Command.run(["/usr/sbin/fsfreeze", "--unfreeze", state]) }
      let revoked = try scene.postern("revoke", "--object", "image")
      #expect(revoked.status == 74, "\(revoked.output)")
      let told = "1 of 1 recalled, but a broker after this one may not know of it"
      #expect(revoked.errors.contains(told), "\(revoked.errors)")
      #expect(try process("read") == "revoked")
      try Command.demand(["/usr/sbin/fsfreeze", "--unfreeze", state])
      #expect(try eventually { try scene.postern("revoke", "--object", "image").status == 0 })
    }
  }

  @Test func `a revoke that was answered stands wherever the broker is killed then`() throws {
    try Scene.run(Policies.image()) { scene in
      for _ in 0..<5 {
        #expect(try scene.postern("revoke", "--object", "image").status == 0)
        scene.killBroker()
        try scene.startAgain()
        #expect(try scene.actor()("open image") == "revoked")
        #expect(try scene.postern("reload").status == 0)
        #expect(try scene.actor()("open image") == "ok")
      }
    }
  }
}

/// The file as PROTOCOL has none: CRC32C of RFC 3720, bit by bit.
private enum RevokesOnDisk {
  /// With a checksum that is right for what stands before it.
  static func sealed(_ text: String) -> String {
    let body = text.components(separatedBy: "checksum ")[0]
    var sum = ~UInt32(0)
    for byte in body.utf8 {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x82F6_3B78 }
    }
    return body + "checksum " + String(format: "%08x", ~sum) + "\n"
  }
}

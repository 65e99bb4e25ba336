import Foundation
import TestSupport
import Testing

/// What a program can do with a ring of its own that has an object in it (Tests/Programs/LifeCycle/library-ring.c).
@Suite(.enabled(if: Tier.rings, "rings of others need root")) struct RingRequestTests {
  @Test func `what is granted works, with registered buffers and vectors too`() throws {
    try Scene.run(
      RingPolicies.image(object: ", access: read-write", operations: "read, write, flush, discard")
    ) { scene in
      let process = try scene.start("library-ring", arguments: [])
      #expect(try process("ring") == "0")
      #expect(try process("open image") == "0")
      #expect(try scene.associations().map(\.path) == ["ring"])
      for request in ["read", "readv", "read-buffer"] { #expect(try process("do \(request)") == "512", "\(request)") }
      for request in ["write", "writev"] { #expect(try process("do \(request)") == "11", "\(request)") }
      for request in ["read-buffer", "write-buffer"] { #expect(try process("do \(request)") == "512", "\(request)") }
      #expect(try process("do discard") == "0")
      #expect(try process("do flush") == "0")
      let content = try Data(contentsOf: URL(fileURLWithPath: scene.image))
      #expect(content.starts(with: Data("overwritten".utf8)))
      #expect(content[1024..<1536] == Data("overwritten".utf8) + Data(repeating: UInt8(ascii: "A"), count: 501))
      #expect(content[4096...].allSatisfy { $0 == 0 })
      #expect(try process("do nop") == "0")
      #expect(try process("do timeout") == "ETIME")
      #expect(try process("register restrictions") == "EACCES")
      #expect(try scene.loopDevices() == 1)
    }
  }

  @Test func `what is linked is done one after the other, and ends with the first that is refused`() throws {
    try Scene.run(RingPolicies.image(object: ", access: read-write", operations: "read, write")) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      #expect(try process("chain write read") == "11 512")
      #expect(try process("chain flush read") == "EACCES ECANCELED")
      #expect(try process("chain read flush") == "ECANCELED EACCES")
    }
  }

  @Test func `a receive ends with the time-out that it is linked to`() throws {
    try Scene.run(RingPolicies.udp()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open dns") == "0")
      #expect(try process("chain receive link-timeout") == "ECANCELED ETIME")
    }
  }

  /// Credentials that the program registered for itself beforehand: nothing that is granted asks for any.
  @Test func `a registered personality changes nothing of a granted request`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      #expect(try process("do read-personality") == "512")
      #expect(try process("do openat-plain") == "EACCES")
    }
  }

  @Test func `without restrictions a personality opens files`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: scene.brokerUser)
      #expect(try process("twin \(scene.image)") == "0")
      #expect(try process("do read-personality") == "512")
      let number = try process("do openat-plain")
      #expect(Int(number).map { $0 > 2 } ?? false, "\(number)")
    }
  }

  @Test func `messages and polls that go on are granted with their operations`() throws {
    try Scene.run(RingPolicies.udp(operations: "receive, send")) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open dns") == "0")
      #expect(try process("to \(scene.address) 7777") == "0")
      #expect(try process("start polls") == "1")
      for _ in 0..<2 {
        // How much was sent, and that there is something to receive.
        #expect(try Set([process("do send-message"), process("end")]) == ["11", "1"])
        #expect(try process("do receive-message") == "11")
      }
      #expect(try scene.postern("revoke", "--object", "dns").status == 0)
      let last = try process("end")
      #expect(["ECANCELED", "EBADF"].contains(last), "\(last)")
    }
  }

  @Test func `a listener is shut down where that is granted`() throws {
    let policy = RingPolicies.listener().replacing("listen, accept", with: "listen, accept, shutdown")
    try Scene.run(policy) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open web") == "0")
      #expect(try process("start accept") == "1")
      #expect(try process("start shutdown") == "1")
      #expect(try Set([process("end"), process("end")]) == ["0", "EINVAL"])
    }
  }

  private static let forbidden =
    [
      "write", "writev", "write-buffer", "discard", "nop-plain", "plain", "message", "command", "openat", "splice",
      "files", "personality",
    ] + (canInstall ? ["install"] : [])

  @Test func `a request that is not granted is refused`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      #expect(try process("ring") == "0")
      #expect(try process("open image") == "0")
      for request in Self.forbidden { #expect(try process("do \(request)") == "EACCES", "\(request)") }
      let content = try String(contentsOfFile: scene.image, encoding: .utf8)
      #expect(content == String(repeating: "A", count: 8192))
    }
  }

  private static let forbiddenOnSocket = ["send", "send-message", "write", "writev", "shutdown", "accept"]

  @Test func `a request on a socket that is not granted is refused`() throws {
    try Scene.run(RingPolicies.udp()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open dns") == "0")
      #expect(try process("to \(scene.address) 7777") == "0")
      for request in Self.forbiddenOnSocket { #expect(try process("do \(request)") == "EACCES", "\(request)") }
    }
  }

  /// The same requests on a ring that nobody has restricted: each gets past the place that refuses it above.
  @Test func `without restrictions every one of them is taken`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: scene.brokerUser)
      #expect(try process("twin \(scene.image)") == "0")
      for request in Self.forbidden { #expect(try process("do \(request)") != "EACCES", "\(request)") }
      #expect(try process("do plain") == "512")
      #expect(try String(contentsOfFile: scene.image, encoding: .utf8).hasPrefix("overwritten"))
      #expect(try process("twin-udp \(scene.address) 7779") == "0")
      #expect(try process("to \(scene.address) 7779") == "0")
      #expect(try process("do send-message") == "11")
      for request in Self.forbiddenOnSocket { #expect(try process("do \(request)") != "EACCES", "\(request)") }
    }
  }

  /// A descriptor of the slot's object is what a ring must never give out.
  @Test(.enabled(if: Self.canInstall, "Linux before 6.8 cannot make a descriptor of a slot"))
  func `without restrictions the object's own descriptor can be had`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: scene.brokerUser)
      #expect(try process("twin \(scene.image)") == "0")
      let number = try process("do install")
      #expect(Int(number).map { $0 > 2 } ?? false, "\(number)")
    }
  }

  private static var canInstall: Bool {
    let release = (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? ""
    let numbers = release.split(separator: ".").prefix(2).compactMap { Int($0) }
    return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 8)
  }

  @Test func `a register call is refused`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      #expect(try process("ring") == "0")
      #expect(try process("open image") == "0")
      for call in ["buffers", "eventfd", "files", "personality", "restrictions", "enable"] {
        #expect(try process("register \(call)") == "EACCES", "\(call)")
      }
    }
  }

  @Test func `without restrictions a register call gives the ring other files`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: scene.brokerUser)
      _ = try process("twin \(scene.image)")
      #expect(try process("register personality") != "EACCES")
      #expect(try process("register files") == "0")
    }
  }

  @Test func `files of the program's own in the other slots are its own affair`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      _ = try process("open image")
      #expect(try process("own /dev/zero") == "1")
      #expect(try process("do read-own") == "512")
      #expect(try process("own \(scene.image)") == "EACCES")
    }
  }

  @Test func `a read does not leave the range, and a write neither`() throws {
    try Scene.run(
      RingPolicies.image(
        object: ", range: { offset: 512, length: 1024 }, access: read-write", operations: "read, write")
    ) { scene in
      try scene.write("image", String(repeating: "A", count: 512) + String(repeating: "B", count: 7680))
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      #expect(try process("do read-beyond") == "0")
      #expect(try process("do write") == "11")
      // Linux 6.1 lets go of a slot's file a second after it was emptied.
      let revoked = try scene.postern("revoke", "--object", "image", "--timeout", "10")
      #expect(revoked.status == 0, "\(revoked)")
      let content = try String(contentsOfFile: scene.image, encoding: .utf8)
      #expect(content.hasPrefix(String(repeating: "A", count: 512) + "overwrittenB"))
    }
  }
}

import Foundation
import TestSupport
import Testing

/// What a program can do with a ring of its own that has an object in it (Tests/Programs/LifeCycle/library-ring.c).
@Suite(.enabled(if: Tier.rings, "rings of others need root")) struct RingRequestTests {
  @Test func `what is granted works, with registered buffers too`() throws {
    try Scene.run(RingPolicies.image(object: ", access: read-write", operations: "read, write, flush")) { scene in
      let process = try scene.start("library-ring", arguments: [])
      #expect(try process("ring") == "0")
      #expect(try process("open image") == "0")
      #expect(try scene.associations().map(\.path) == ["ring"])
      for request in ["read", "read-buffer"] { #expect(try process("do \(request)") == "512", "\(request)") }
      #expect(try process("do write") == "11")
      #expect(try process("do flush") == "0")
      #expect(try String(contentsOfFile: scene.image, encoding: .utf8).hasPrefix("overwritten"))
      for request in ["nop", "read-linked"] { #expect(try process("do \(request)") != "EACCES", "\(request)") }
      #expect(try process("do timeout") == "ETIME")
      #expect(try process("register restrictions") == "EACCES")
      #expect(try scene.loopDevices() == 1)
    }
  }

  private static let forbidden =
    ["write", "nop-plain", "plain", "message", "command", "openat", "splice", "files", "personality"]
    + (canInstall ? ["install"] : [])

  @Test func `a request that is not granted is refused`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      #expect(try process("ring") == "0")
      #expect(try process("open image") == "0")
      for request in Self.forbidden { #expect(try process("do \(request)") == "EACCES", "\(request)") }
      #expect(try String(contentsOfFile: scene.image, encoding: .utf8).hasPrefix("AAAA"))
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
      #expect(try scene.postern("revoke", "--object", "image").status == 0)
      let content = try String(contentsOfFile: scene.image, encoding: .utf8)
      #expect(content.hasPrefix(String(repeating: "A", count: 512) + "overwrittenB"))
    }
  }
}

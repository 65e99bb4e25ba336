import Foundation
import TestSupport
import Testing

/// What `postern run` refuses to start, and what it shows of what it would start.
@Suite(
  .enabled(if: Tier.root, "needs root: network namespaces"),
  .enabled(if: Tier.has("python3"), "needs python3"), .timeLimit(.minutes(3)))
struct StartTests {
  private func expectNotStarted(_ policy: String, _ options: String..., naming words: [String]) throws {
    try Scene.run(policy) { scene in
      let marker = scene.folder + "/open/started"
      let result = try scene.runToEnd("touch", marker, options: options)
      #expect(result.status == 125)
      for word in words { #expect(result.errors.contains(word), "\(result.errors)") }
      #expect(!FileManager.default.fileExists(atPath: marker))
    }
  }

  @Test func `a grant without handover starts nothing, and the key is named`() throws {
    try expectNotStarted(Policies.web(grant: ""), naming: ["web", "`handover: true`"])
  }

  @Test func `a grant of the mediated path starts nothing, and the key is named`() throws {
    try expectNotStarted(Policies.web(grant: ", path: mediated, handover: true"), naming: ["web", "`path: mediated`"])
  }

  @Test func `an object that does not exist starts nothing`() throws {
    try expectNotStarted(Policies.web(), "--object", "nothing", naming: ["nothing", "no-such-object"])
  }

  @Test func `one refused object of several that are named starts nothing`() throws {
    try expectNotStarted(Policies.web(), "--object", "web", "--object", "nothing", naming: ["nothing"])
  }

  @Test func `without a broker nothing is started`() throws {
    try Scene.run(Policies.web()) { scene in
      scene.broker.end()
      let marker = scene.folder + "/open/started"
      let result = try scene.runToEnd("touch", marker)
      #expect(result.status == 125)
      #expect(result.errors.contains("broker"), "\(result.errors)")
      #expect(!FileManager.default.fileExists(atPath: marker))
      try scene.restart()
      #expect(try scene.runToEnd("touch", marker).status == 0)
      #expect(FileManager.default.fileExists(atPath: marker))
    }
  }

  @Test func `dry-run shows what would be granted, and starts nothing`() throws {
    try Scene.run(Policies.web()) { scene in
      let marker = scene.folder + "/open/started"
      let result = try scene.runToEnd("touch", marker, options: ["--dry-run"])
      #expect(result.status == 0, "\(result.errors)")
      for word in ["web", "handover", "app", "bind"] { #expect(result.output.contains(word), "\(result.output)") }
      #expect(!FileManager.default.fileExists(atPath: marker))
      #expect(try scene.broker.associations().isEmpty)
    }
  }

  @Test func `dry-run tells which key is missing`() throws {
    try Scene.run(Policies.web(grant: "")) { scene in
      let result = try scene.runToEnd("true", options: ["--dry-run"])
      #expect(result.status == 1)
      #expect(result.output.contains("handover: true"), "\(result.output)")
    }
  }

  @Test func `only calls for the named objects are looked at`() throws {
    let policy = Policies.sockets(["web": "tcp://0.0.0.0:80", "wire": "raw://icmp"])
      .replacing("object: wire, operations: [bind, listen, accept]", with: "object: wire, operations: [receive]")
    try Scene.run(policy) { scene in
      let make = "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)"
      #expect(try scene.runToEnd("python3", "-c", make).status == 0)
      let without = try scene.runToEnd("python3", "-c", make, options: ["--object", "web"])
      #expect(without.status == 1)
      #expect(without.errors.contains("PermissionError"))
    }
  }
}

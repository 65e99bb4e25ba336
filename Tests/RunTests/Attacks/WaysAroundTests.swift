import Foundation
import Glibc
import TestSupport
import Testing

/// Calls that are not notified of, and names that mean something else (LESSONS 6, 13 to 15).
@Suite(.serialized, .enabled(if: Tier.root, "needs root: network namespaces"), .timeLimit(.minutes(10)))
struct WaysAroundTests {
  /// Runs `intruder` by `postern run` and gives what it printed.
  private func intrude(_ scene: Scene, _ arguments: String...) throws -> String {
    let result = try scene.runToEnd([try Programs.path("intruder")] + arguments)
    #expect(result.status == 0, "\(result)")
    return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private func intrudePlainly(_ scene: Scene, _ arguments: String...) throws -> String {
    try Command.run([try Programs.path("launch")] + scene.unprivileged() + [try Programs.path("intruder")] + arguments)
      .output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  @Test(arguments: ["abis", "ring"])
  func `what passes unnotified gains nothing, not even what is granted`(way: String) throws {
    try Scene.attack { scene in
      for file in [scene.image, scene.other] {
        let came = try intrude(scene, way, "80", file)
        #expect(!came.contains("=ok"), "\(came)")
        let without = try intrudePlainly(scene, way, "80", file)
        #expect(came == without)
      }
      // The same ways are open to who has the privilege.
      let asRoot = try Command.run(
        scene.network.prefix + [try Programs.path("intruder"), way, "80", scene.image]
      ).output
      #expect(asRoot.contains("open=ok") || asRoot.contains("open=ENOSYS") || asRoot == "absent\n", "\(asRoot)")
    }
  }

  @Test func `openat2 with every size of its structure ends as in the kernel`() throws {
    try Scene.attack { scene in
      let kernel = try Command.demand([try Programs.path("intruder"), "sizes", scene.image])
        .trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(kernel.contains("24:ok") && kernel.contains("4097:E2BIG"), "\(kernel)")
      let came1 = try intrude(scene, "sizes", scene.image)
      #expect(came1 == kernel)
      let other = try intrude(scene, "sizes", scene.other)
      #expect(!other.contains("ok"), "\(other)")
    }
  }

  @Test func `a child that shares memory, and one that shares descriptors, is served as itself`() throws {
    try Scene.attack { scene in
      let came2 = try intrude(scene, "vfork", "80")
      #expect(came2 == "child=ok port=0")
      let came3 = try intrude(scene, "sharing", "80")
      #expect(came3 == "child=ok port=80")
      let came4 = try intrude(scene, "sharing", "81")
      #expect(came4 == "child=EACCES port=0")
    }
  }

  @Test func `names that mean other files in the program's own mount namespace and root open none of them`() throws {
    try Scene.attack { scene in
      let came = try intrude(scene, "mounts", scene.image, scene.other)
      #expect(!came.contains("GAINED"), "\(came)")
      #expect(came.contains("before=ok") && came.contains("over=EACCES"), "\(came)")
      // Comparing names and opening them in the program's root would.
      let twin = try Command.run(
        [try Programs.path("launch")] + scene.network.prefix + [
          try Programs.path("naive"), "name", "80", scene.image, try Programs.path("intruder"), "mounts", scene.image,
          scene.other,
        ])
      #expect(twin.output.contains("over=GAINED"), "\(twin)")
    }
  }

  @Test func `a unix path in a root of the program's own makes no socket in the broker's`() throws {
    let policy = Policies.sockets(["door": "unix://$FOLDER/store/door"])
    try Scene.run(policy, prepare: { try $0.makeImages() }) { scene in
      let jail = scene.folder + "/open/jail"
      try FileManager.default.createDirectory(atPath: jail + scene.folder + "/store", withIntermediateDirectories: true)
      // Where the program may not write, the kernel refuses; the object's own name means another file there.
      let came5 = try intrude(scene, "jail", jail, scene.folder + "/store/door")
      #expect(came5 == "bind=EACCES")
      #expect(!FileManager.default.fileExists(atPath: scene.folder + "/store/door"))
      #expect(!FileManager.default.fileExists(atPath: jail + scene.folder + "/store/door"))
      let came6 = try intrude(scene, "jail", "/", scene.folder + "/store/door")
      #expect(came6 == "bind=ok")
      #expect(FileManager.default.fileExists(atPath: scene.folder + "/store/door"))
    }
  }

  @Test func `links of procfs lead to none of the broker's files and to no other process's`() throws {
    try Scene.attack { scene in
      let came7 = try intrude(scene, "processes", "\(scene.broker.pid)")
      #expect(came7.hasPrefix("gained=0 "))
      let came8 = try intrude(scene, "processes", "1")
      #expect(came8.hasPrefix("gained=0 "))
    }
  }

  @Test func `a setuid program under the filter has no other user than its caller`() throws {
    try Scene.attack { scene in
      let path = scene.folder + "/setuid"
      try FileManager.default.copyItem(atPath: try Programs.path("intruder"), toPath: path)
      try FileManager.default.setAttributes([.posixPermissions: 0o4755], ofItemAtPath: path)
      #expect(try scene.runToEnd(path, "identity").output == "user=65534 effective=65534\n")
      // Without no_new_privs it has.
      #expect(try scene.plainly(path, "identity").output == "user=65534 effective=0\n")
    }
  }

  @Test func `a grant to read is no grant to write`() throws {
    try Scene.attack(Policies.portAndImage(object: ", access: read-write")) { scene in
      let came0 = try intrude(scene, "write", scene.image)
      #expect(came0 == "EACCES")
    }
    try Scene.attack(Policies.portAndImage(object: ", access: read-write", operations: "read, write")) { scene in
      let came9 = try intrude(scene, "write", scene.image)
      #expect(came9 == "ok")
    }
  }
}

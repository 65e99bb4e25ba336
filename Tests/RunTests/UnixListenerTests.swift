import Foundation
import Glibc
import TestSupport
import Testing

/// Unix sockets in a folder that the program may not write to.
@Suite(
  .enabled(if: Tier.root, "needs root: network namespaces"),
  .enabled(if: Tier.has("python3", "curl"), "needs python3 and curl"), .timeLimit(.minutes(3)))
struct UnixListenerTests {
  private func run(_ body: (Scene, Dialogue, String) throws -> Void) throws {
    try Scene.run(Policies.sockets(["door": "unix://$FOLDER/doors/door"])) { scene in
      try FileManager.default.createDirectory(
        atPath: scene.folder + "/doors", withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
      let program = try scene.python()
      #expect(try program("l = tcp(socket.AF_UNIX)") == "ok")
      try body(scene, program, scene.folder + "/doors/door")
    }
  }

  @Test func `the socket's file belongs to the program, with the mode that its umask leaves`() throws {
    try run { (scene, program, path) throws in
      #expect(try program("os.umask(0o027)") != "EACCES")
      #expect(try program("l.bind('\(path)')") == "ok", "\(scene.broker.errors)")
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      #expect(attributes[.ownerAccountID] as? Int == 65534)
      #expect(attributes[.groupOwnerAccountID] as? Int == 65534)
      #expect(attributes[.posixPermissions] as? Int == 0o750)
      #expect(try scene.broker.associations().map(\.object) == ["door"])
    }
  }

  @Test func `clients are accepted at the path`() throws {
    try run { (scene, program, path) throws in
      #expect(try program("l.bind('\(path)')") == "ok")
      #expect(try program("l.listen()") == "ok")
      try program.tell("serve(l, 'door')")
      #expect(try scene.status("http://door/", "--unix-socket", path) == "200")
      #expect(program.heard() == "ok")
    }
  }

  @Test func `getsockname tells the last component of the path`() throws {
    try run { (_, program, path) throws in
      #expect(try program("l.bind('\(path)')") == "ok")
      #expect(try program("l.getsockname()") == "door")
    }
  }

  @Test func `a relative path means the program's working directory`() throws {
    try run { (scene, program, _) throws in
      #expect(try program("os.chdir('\(scene.folder)/doors')") == "ok")
      #expect(try program("l.bind('door')") == "ok")
      #expect(try scene.broker.associations().map(\.object) == ["door"])
    }
  }

  @Test func `another name in the folder is refused, as without Postern`() throws {
    try run { (scene, program, path) throws in
      #expect(try program("l.bind('\(path)2')") == "EACCES")
      #expect(try program("os.symlink('\(scene.folder)', '\(scene.folder)/open/way')") == "ok")
      // The same file by another way is the same object.
      #expect(try program("l.bind('\(scene.folder)/open/way/doors/door')") == "ok")
    }
  }

  @Test func `a name that stands there already is the kernel's to refuse`() throws {
    try run { (scene, program, path) throws in
      try Data().write(to: URL(fileURLWithPath: path))
      #expect(try program("l.bind('\(path)')") == "EADDRINUSE")
    }
  }

  @Test func `a revoke ends accepting, for good`() throws {
    try run { (scene, program, path) throws in
      #expect(try program("l.bind('\(path)')") == "ok")
      #expect(try program("l.listen()") == "ok")
      let revoked = try scene.postern("revoke", "--object", "door")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      _ = try program("l.listen()")
      #expect(try program("l.settimeout(1)") == "ok")
      try program.tell("serve(l, 'door')")
      #expect(try scene.status("http://door/", "--unix-socket", path, "--max-time", "2") != "200")
    }
  }
}

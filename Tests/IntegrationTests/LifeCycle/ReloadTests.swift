import Foundation
import Glibc
import TestSupport
import Testing

@Suite struct ReloadTests {
  private static let two = """
    version: 1
    objects:
      image: { kind: disk, path: $IMAGE }
      other: { kind: disk, path: $FOLDER/other }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: image, operations: [read] }

    """
  private static let grantOfOther = "  - { application: app, object: other, operations: [read], message: gone }\n"

  @Test func `a reload that removes a grant drops its associations and keeps all others with their ids`() throws {
    try Scene.run(ReloadTests.two + ReloadTests.grantOfOther) { scene in
      try scene.write("other", "BBBBBBBB")
      let keeping = try scene.actor()
      let losing = try scene.actor()
      #expect(try keeping("open image") == "ok")
      #expect(try losing("open other") == "ok")
      let before = try scene.associations().first { $0.object == "image" }?.id
      try scene.write("policy.yaml", try scene.expand(ReloadTests.two))
      scene.signal(SIGHUP)
      #expect(try losing("changed") == "not-associated")
      #expect(try losing("read") == "not-associated")
      #expect(try losing("revalidate").hasPrefix("refused"))
      #expect(try losing("open other") == "no-such-object")
      #expect(try keeping("read") == "ok")
      #expect(try scene.associations().map(\.id) == [before])
      #expect(try scene.journal(of: "\(losing.pid)").contains { $0.kind == "drop" && $0.cause == "reload" })
    }
  }

  @Test func `a reload brings another size of segments and another retention`() throws {
    try Scene.run(ReloadTests.two) { scene in
      func segments() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: scene.folder + "/state").filter { $0.hasSuffix(".pj") }
          .count
      }
      func reload(_ settings: String) throws {
        try scene.write("policy.yaml", try scene.expand(ReloadTests.two) + "audit: { \(settings) }\n")
        #expect(try scene.postern("reload").status == 0)
        for _ in 0..<40 { #expect(try scene.postern("read", "nothing-of-yours").status == 1) }
      }
      try reload("segment: 64MiB")
      #expect(try segments() == 1)
      try reload("segment: 4KiB")
      #expect(try segments() > 2)
      try reload("segment: 4KiB, retention: 1s")
      #expect(try eventually { try scene.journal().contains { $0.kind == "removal" } })
    }
  }

  @Test func `a wrong new policy keeps the old one and says where the mistake is`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      let before = try scene.associations().map(\.id)
      try scene.write("policy.yaml", "version: 1\nobjects: [this is none]\n")
      scene.signal(SIGHUP)
      #expect(eventually { scene.errors.contains("policy.yaml:2:") }, "\(scene.errors)")
      #expect(try process("read") == "ok")
      #expect(try scene.associations().map(\.id) == before)
      #expect(try process("open image") == "ok")
      #expect(try scene.postern("reload").status == 65)
    }
  }

  @Test func `a policy file that is gone keeps the old policy`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.actor()
      #expect(try process("open image") == "ok")
      try FileManager.default.removeItem(atPath: scene.policyPath)
      scene.signal(SIGHUP)
      #expect(eventually { scene.errors.contains("the old policy stays") }, "\(scene.errors)")
      #expect(try process("read") == "ok")
    }
  }

  @Test func `when another file takes the object's path, the next open gets it and old holders are stale`() throws {
    try Scene.run(Policies.image()) { scene in
      let old = try scene.actor()
      let new = try scene.actor()
      #expect(try old("open image") == "ok")
      try scene.write("other", String(repeating: "B", count: 8192))
      _ = try Command.run(["/bin/mv", scene.folder + "/other", scene.image])
      #expect(try new("open image") == "ok")
      #expect(try new("read") == "ok")
      #expect(try new("data") == "BBBB")
      #expect(try old("read") == "stale")
      #expect(try old("revalidate") == "stale")
      #expect(try old("open image") == "ok")
      #expect(try old("read") == "ok")
      #expect(try old("data") == "BBBB")
    }
  }
}

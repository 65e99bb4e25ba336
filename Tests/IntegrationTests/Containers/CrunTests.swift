import Foundation
import Glibc
import TestSupport
import Testing

/// Containers that crun runs with `linux.seccomp.listenerPath` naming Postern.
@Suite("A container run by crun", .enabled(if: Tier.crun)) struct CrunTests {
  private func run(_ policy: String, _ body: (Scene) throws -> Void) throws {
    try Scene.run(policy, options: Agent.options) { scene in try body(scene) }
  }

  private func fetch(_ scene: Scene) throws -> String {
    try Command.run(["/usr/bin/curl", "--noproxy", "*", "-s", "-m", "5", "http://\(scene.address)/"]).output
  }

  @Test func `serves a granted port, and is refused another one as without Postern`() throws {
    try run(Agent.policy()) { scene in
      let server = try Container(
        scene, calls: ["bind", "socket"], command: "httpd -f -h /www -p \(scene.address):80")
      defer { server.end() }
      let isServing = try eventually { try fetch(scene) == "from the container\n" }
      #expect(isServing, "\(server.output)")
      let other = try Container(
        scene, calls: ["bind", "socket"], command: "httpd -f -h /www -p \(scene.address):81")
      #expect(other.waitForEnd() == 1)
      #expect(other.output.contains("bind: Permission denied"))
      let records = try scene.journal()
      #expect(records.contains { $0.kind == "grant" && $0.object == "web" && $0.uid == 65534 })
      for container in [server, other] {
        #expect(records.contains { $0.message?.hasPrefix("container \(container.id): ") == true })
      }
    }
  }

  @Test func `goes on when the broker is killed, and is served by the next one`() throws {
    try run(Agent.policy()) { scene in
      let command =
        "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do httpd -f -h /www -p \(scene.address):80; "
        + "echo tried; sleep 0.2; done"
      scene.killBroker()
      try scene.startAgain()
      let server = try Container(scene, calls: ["bind", "socket"], command: "sleep 1; " + command)
      defer { server.end() }
      let isTaken = try eventually {
        try scene.journal().contains { $0.message?.hasPrefix("supervises") == true }
      }
      #expect(isTaken)
      scene.killBroker()
      let isRefused = eventually { server.output.contains("bind: Permission denied") }
      #expect(isRefused, "\(server.output)")
      #expect(!server.output.contains("Function not implemented"))
      try scene.startAgain()
      let isServing = try eventually { try fetch(scene) == "from the container\n" }
      #expect(isServing, "\(server.output)")
    }
  }

  @Test func `with a network namespace of its own gets no authority over the host's`() throws {
    try run(Agent.policy()) { scene in
      let server = try Container(
        scene, namespaces: [["type": "mount"], ["type": "network"]], calls: ["bind", "socket"],
        command: "httpd -f -h /www -p 0.0.0.0:80")
      #expect(server.waitForEnd() == 1)
      #expect(server.output.contains("bind: Permission denied"))
      let granted = try scene.journal().contains { $0.kind == "grant" }
      #expect(!granted)
    }
  }

  @Test func `with a pid namespace of its own is served only where the application names that one`() throws {
    try run(Agent.policy()) { scene in
      // Its first process, so that the namespace is there before the container.
      let first = Process()
      first.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
      first.arguments = ["--pid", "--fork", "--kill-child", "/bin/sleep", "60"]
      try ChildProcess.start(first)
      defer {
        kill(first.processIdentifier, SIGKILL)
        first.waitUntilExit()
      }
      // unshare(1) stays where it was: its children are in the namespace.
      let path = "/proc/\(first.processIdentifier)/ns/pid_for_children"
      let namespaces = [["type": "mount"], ["type": "pid", "path": path]]
      let command = "httpd -f -h /www -p \(scene.address):80"
      let stranger = try Container(scene, namespaces: namespaces, calls: ["bind", "socket"], command: command)
      #expect(stranger.waitForEnd() == 1)
      #expect(stranger.output.contains("bind: Permission denied"))
      let why = try scene.journal().contains { $0.kind == "refusal" && $0.detail == "namespace" && $0.object == "web" }
      #expect(why)

      try scene.write("policy.yaml", try scene.expand(Agent.policy(application: ", namespace: { pid: \(path) }")))
      #expect(try scene.postern("reload").status == 0)
      let server = try Container(scene, namespaces: namespaces, calls: ["bind", "socket"], command: command)
      defer { server.end() }
      let isServing = try eventually { try fetch(scene) == "from the container\n" }
      #expect(isServing, "\(server.output)")
    }
  }

  @Test func `opens a granted image below its own root, and what it may open without Postern`() throws {
    let policy = """
      version: 1
      objects:
        image: { kind: disk, path: $IMAGE, access: read-only }
      applications:
        app: { user: nobody }
      grants:
        - { application: app, object: image, operations: [read], handover: true }

      """
    try run(policy) { scene in
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: scene.image)
      try scene.write("other", "other")
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: scene.folder + "/other")
      // Bind mounts: the same files under other names.
      let mounts: [[String: Any]] = [
        ["destination": "/data/image", "source": scene.image, "type": "bind", "options": ["bind"]],
        ["destination": "/data/other", "source": scene.folder + "/other", "type": "bind", "options": ["bind"]],
      ]
      let container = try Container(
        scene, calls: ["open", "openat", "openat2", "creat"], mounts: mounts,
        command:
          "cat /www/index.html; dd if=/data/image bs=4 count=1 2>/dev/null; echo; cat /data/other; echo x >> /data/image"
      )
      _ = container.waitForEnd()
      #expect(container.output.hasPrefix("from the container\nAAAA\n"), "\(container.output)")
      #expect(container.output.contains("can't open '/data/other': Permission denied"))
      #expect(container.output.contains("can't create /data/image: Permission denied"))
    }
  }
}

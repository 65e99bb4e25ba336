import Foundation
import TestSupport
import Testing

/// Servers that know nothing of Postern, on port 80, as an ordinary user without a capability.
@Suite(
  .enabled(if: Tier.root, "needs root: network namespaces"),
  .enabled(if: Tier.has("python3", "curl"), "needs python3 and curl"), .timeLimit(.minutes(3)))
struct HTTPServerTests {
  @Test func `python's HTTP server answers on port 80`() throws {
    try Scene.run(Policies.web()) { scene in
      let service = try scene.run("python3", "-m", "http.server", "80", "--directory", scene.folder + "/open")
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(service.output)\(scene.broker.errors)")
      let held = try scene.broker.associations()
      #expect(held.map(\.pid) == [service.pid])
      #expect(held.map(\.object) == ["web"])
      #expect(held.map(\.path) == ["handover"])
      #expect(held.map(\.state) == ["live"])
    }
  }

  @Test func `the server has no capability at all`() throws {
    try Scene.run(Policies.web()) { scene in
      let service = try scene.run("python3", "-m", "http.server", "80")
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(service.output)")
      let status = try String(contentsOfFile: "/proc/\(service.pid)/status", encoding: .utf8)
      for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        #expect(status.contains("\(set):\t0000000000000000\n"))
      }
      #expect(status.contains("\nUid:\t65534\t65534\t65534\t65534\n"))
    }
  }

  @Test func `the same server cannot start without Postern`() throws {
    try Scene.run(Policies.web()) { scene in
      let result = try scene.plainly("timeout", "10", "python3", "-m", "http.server", "80")
      #expect(result.status == 1)
      #expect(result.errors.contains("PermissionError: [Errno 13]"))
    }
  }

  @Test(.enabled(if: Tier.has("busybox"), "needs busybox")) func `busybox's static HTTP server answers on port 80`()
    throws
  {
    try Scene.run(Policies.sockets(["web": "tcp://[::]:80"])) { scene in
      try Data("hello".utf8).write(to: URL(fileURLWithPath: scene.folder + "/open/index.html"))
      let service = try scene.run("busybox", "httpd", "-f", "-p", "80", "-h", scene.folder + "/open")
      let isAnswering = try scene.answers("http://127.0.0.1/index.html")
      #expect(isAnswering, "\(service.output)\(scene.broker.errors)")
    }
  }

  @Test func `a statically linked Swift program answers on port 80`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try Programs.path("responder")
      let needed = try Command.run(["/usr/bin/env", "readelf", "--dynamic", "--program-headers", program])
      #expect(!needed.output.contains("INTERP") && !needed.output.contains("NEEDED"), "it is not static")
      let service = try scene.run(program, "80")
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(service.output)\(scene.broker.errors)")
    }
  }
}

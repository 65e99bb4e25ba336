import Foundation
import Glibc
import TestSupport
import Testing

/// A server of several processes, which all share the listeners that its first process was granted.
@Suite(
  .enabled(if: Tier.root, "needs root: network namespaces"),
  .enabled(if: Tier.has("nginx", "openssl", "curl"), "needs nginx, openssl and curl"), .timeLimit(.minutes(3)))
struct NginxTests {
  private static func policy(application: String = "", grant: String = ", handover: true") -> String {
    Policies.sockets(
      ["web": "tcp://0.0.0.0:80", "tls": "tcp://0.0.0.0:443"], grant: grant, application: application)
  }

  private func configure(
    _ scene: Scene, workers: Int = 3, ports: String = "listen 80; listen 443 ssl;", daemon: Bool = false
  ) throws {
    let folder = scene.folder + "/open"
    try """
    daemon \(daemon ? "on" : "off"); worker_processes \(workers); pid \(folder)/nginx.pid; error_log stderr info;
    events { worker_connections 64; }
    http {
      access_log off;
      client_body_temp_path \(folder)/body; proxy_temp_path \(folder)/proxy; fastcgi_temp_path \(folder)/fastcgi;
      uwsgi_temp_path \(folder)/uwsgi; scgi_temp_path \(folder)/scgi;
      ssl_certificate \(folder)/certificate; ssl_certificate_key \(folder)/key;
      server { \(ports) location / { return 200 "nginx"; } }
    }
    """.write(toFile: folder + "/nginx.conf", atomically: true, encoding: .utf8)
  }

  private func start(_ scene: Scene) throws -> Service {
    let folder = scene.folder + "/open"
    try Command.demand([
      "/usr/bin/env", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
      "-keyout", folder + "/key", "-out", folder + "/certificate", "-days", "2", "-subj", "/CN=localhost",
    ])
    try Account.nobody.own(folder + "/key")
    return try scene.run("nginx", "-e", "stderr", "-p", folder, "-c", folder + "/nginx.conf")
  }

  private func children(of pid: Int32) -> Set<Int32> {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
    return Set(text.split(separator: " ").compactMap { Int32($0) })
  }

  private func holders(_ scene: Scene, of object: String) throws -> Set<Int32> {
    Set(try scene.broker.associations().filter { $0.object == object && $0.state == "live" }.map(\.pid))
  }

  @Test func `nginx answers on 80 and 443, and its workers have associations of their own`() throws {
    try Scene.run(Self.policy()) { scene in
      try configure(scene)
      let nginx = try start(scene)
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(nginx.output)\(scene.broker.errors)")
      #expect(try scene.status("https://127.0.0.1/") == "200")
      let workers = children(of: nginx.pid)
      #expect(workers.count == 3)
      for object in ["web", "tls"] { #expect(try holders(scene, of: object) == workers.union([nginx.pid])) }
    }
  }

  @Test func `a reload replaces the workers, and their associations with them`() throws {
    try Scene.run(Self.policy()) { scene in
      try configure(scene, ports: "listen 80;")
      let nginx = try start(scene)
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(nginx.output)\(scene.broker.errors)")
      let before = children(of: nginx.pid)
      try configure(scene)
      kill(nginx.pid, SIGHUP)
      // The port that the new configuration adds is granted as well.
      let isAnsweringThere = try scene.answers("https://127.0.0.1/")
      #expect(isAnsweringThere, "\(nginx.output)\(scene.broker.errors)")
      #expect(try scene.status("http://127.0.0.1/") == "200")
      let isReplaced = eventually { children(of: nginx.pid).isDisjoint(with: before) }
      #expect(isReplaced)
      let workers = children(of: nginx.pid)
      #expect(workers.count == 3)
      for object in ["web", "tls"] {
        let isCurrent = try eventually { try holders(scene, of: object) == workers.union([nginx.pid]) }
        let found = try holders(scene, of: object)
        #expect(isCurrent, "\(object): \(found) instead of \(workers) and \(nginx.pid)")
      }
    }
  }

  @Test func `a reload that adds a port which is not granted keeps the old configuration, as without Postern`() throws {
    try Scene.run(Policies.web()) { scene in
      try configure(scene, ports: "listen 80;")
      let nginx = try start(scene)
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(nginx.output)\(scene.broker.errors)")
      try configure(scene)
      kill(nginx.pid, SIGHUP)
      let isRefused = eventually { nginx.output.contains("bind() to 0.0.0.0:443 failed (13: Permission denied)") }
      #expect(isRefused, "\(nginx.output)")
      #expect(try scene.status("http://127.0.0.1/") == "200")
      #expect(try scene.refusals(of: nginx.pid).map(\.operation).contains("bind"))
    }
  }

  @Test func `a revoke takes the listeners back from all of them`() throws {
    try Scene.run(Self.policy()) { scene in
      try configure(scene)
      let nginx = try start(scene)
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(nginx.output)\(scene.broker.errors)")
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(try scene.status("http://127.0.0.1/") != "200")
      // The other object is not touched.
      #expect(try scene.status("https://127.0.0.1/") == "200")
      #expect(try holders(scene, of: "web").isEmpty)
      #expect(try holders(scene, of: "tls").count == 4)
    }
  }

  @Test func `workers beyond the quota have no association, and lose the listener with the others`() throws {
    try Scene.run(Self.policy(application: ", processes: 2")) { scene in
      try configure(scene)
      let nginx = try start(scene)
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(nginx.output)\(scene.broker.errors)")
      let workers = children(of: nginx.pid)
      #expect(try holders(scene, of: "web").count == 2)
      let refused = try scene.broker.journal().filter { $0.kind == "refusal" && $0.reason == "quota" }
      #expect(Set(refused.compactMap(\.pid)).isSubset(of: workers))
      #expect(Set(refused.compactMap(\.pid)).count == 2)
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(try scene.status("http://127.0.0.1/") != "200")
    }
  }

  @Test func `a daemon that has left the program that was started is followed, and found by its number`() throws {
    try Scene.run(Self.policy()) { scene in
      try configure(scene, daemon: true)
      let started = try start(scene)
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(started.output)\(scene.broker.errors)")
      let hasLeft = eventually { !started.isRunning }
      #expect(hasLeft)
      let text = try String(contentsOfFile: scene.folder + "/open/nginx.pid", encoding: .utf8)
      let master = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
      let everybody = children(of: master).union([master])
      #expect(everybody.count == 4)
      let isListed = try eventually { try holders(scene, of: "web") == everybody }
      #expect(isListed)
      let revoked = try scene.postern("revoke", "--pid", "\(master)")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(try scene.status("http://127.0.0.1/", "--max-time", "1") != "200")
      #expect(try scene.status("https://127.0.0.1/", "--max-time", "1") != "200")
      #expect(try holders(scene, of: "web").isEmpty)
    }
  }

  @Test func `on-fork deny leaves the workers without associations, and a revoke finds them all the same`() throws {
    try Scene.run(Self.policy(grant: ", handover: true, on-fork: deny")) { scene in
      try configure(scene)
      let nginx = try start(scene)
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(nginx.output)\(scene.broker.errors)")
      #expect(try holders(scene, of: "web") == [nginx.pid])
      // The master is gone, its workers are not, and hold the listener still.
      let workers = children(of: nginx.pid)
      nginx.end(SIGKILL)
      #expect(try scene.status("http://127.0.0.1/") == "200")
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(try scene.status("http://127.0.0.1/") != "200", "\(workers) serve on")
    }
  }
}

import Foundation
import TestSupport
import Testing

/// What a bind that is notified comes to, by address.
@Suite(
  .enabled(if: Tier.root, "needs root: network namespaces"),
  .enabled(if: Tier.has("python3", "curl"), "needs python3 and curl"), .timeLimit(.minutes(3)))
struct BindTests {
  @Test func `a privileged port that is not granted is refused by the kernel, and recorded`() throws {
    try Scene.run(Policies.web()) { scene in
      let plain = try scene.python(isPlain: true)
      let expected = try plain("tcp().bind(('0.0.0.0', 81))")
      #expect(expected == "EACCES")
      let program = try scene.python()
      #expect(try program("tcp().bind(('0.0.0.0', 81))") == expected)
      let isRecorded = try eventually { try !scene.refusals(of: program.pid).isEmpty }
      #expect(isRecorded)
      let refused = try scene.refusals(of: program.pid)
      #expect(refused.map(\.operation) == ["bind"])
      #expect(refused.map(\.reason) == ["no-such-object"])
      #expect(refused.map(\.uid) == [65534])
      #expect(try scene.broker.associations().isEmpty)
    }
  }

  @Test func `another address of a granted port is another object`() throws {
    try Scene.run(Policies.sockets(["web": "tcp://127.0.0.1:80"])) { scene in
      let program = try scene.python()
      #expect(try program("tcp().bind(('0.0.0.0', 80))") == "EACCES")
      #expect(try program("tcp().bind(('127.0.0.2', 80))") == "EACCES")
      #expect(try program("tcp(socket.AF_INET6).bind(('::', 80))") == "EACCES")
      #expect(try program("tcp(socket.AF_INET, socket.SOCK_DGRAM).bind(('127.0.0.1', 80))") == "EACCES")
      #expect(try program("tcp().bind(('127.0.0.1', 80))") == "ok")
    }
  }

  @Test func `a port that anybody may bind works untouched, and leaves no record`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program("l = listener('0.0.0.0', 8080)") == "ok")
      try program.tell("serve(l, 'hello')")
      #expect(try scene.status("http://127.0.0.1:8080/") == "200")
      #expect(program.heard() == "ok")
      // What comes after it in the journal is there, so it would be too.
      #expect(try program("tcp().bind(('0.0.0.0', 81))") == "EACCES")
      let isRecorded = try eventually { try scene.refusals(of: program.pid).count == 1 }
      #expect(isRecorded)
      #expect(try scene.broker.journal().filter { $0.pid == program.pid }.map(\.kind) == ["refusal"])
      #expect(try scene.broker.associations().isEmpty)
    }
  }

  @Test func `port 0 gets a port of the kernel's choice, untouched`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program("s = tcp()") == "ok")
      #expect(try program("s.bind(('0.0.0.0', 0))") == "ok")
      #expect(try program("s.getsockname()[1] > 1023") == "True")
      #expect(try scene.broker.journal().filter { $0.pid == program.pid }.isEmpty)
    }
  }

  @Test func `an object of port 0 is nothing to run for, and that is told`() throws {
    try Scene.run(Policies.sockets(["any": "tcp://0.0.0.0:0"])) { scene in
      let result = try scene.runToEnd("true")
      #expect(result.status == 125)
      #expect(result.errors.contains("anybody may bind port 0"), "\(result.errors)")
    }
  }

  @Test func `a dual stack listener answers both families`() throws {
    try Scene.run(Policies.sockets(["web": "tcp://[::]:80"])) { scene in
      let program = try scene.python()
      #expect(try program("l = listener('::', 80, socket.AF_INET6, v6only=0)") == "ok")
      for host in ["127.0.0.1", "[::1]"] {
        try program.tell("serve(l, 'both')")
        #expect(try scene.status("http://\(host)/") == "200", "\(host)")
        #expect(program.heard() == "ok")
      }
      #expect(try program("tcp().bind(('0.0.0.0', 80))") == "EACCES")
    }
  }

  @Test func `an IPv4 address in its IPv6 form is the object of that IPv4 address`() throws {
    try Scene.run(Policies.sockets(["web": "tcp://127.0.0.1:80"])) { scene in
      let program = try scene.python()
      #expect(try program("l = listener('::ffff:127.0.0.1', 80, socket.AF_INET6, v6only=0)") == "ok")
      try program.tell("serve(l, 'mapped')")
      #expect(try scene.status("http://127.0.0.1/") == "200")
      #expect(program.heard() == "ok")
      #expect(try scene.postern("revoke", "--object", "web").status == 0)
      #expect(try scene.status("http://127.0.0.1/", "--max-time", "1") != "200")
    }
  }

  @Test func `two programs share a port by SO_REUSEPORT, and only so`() throws {
    try Scene.run(Policies.web()) { scene in
      let first = try scene.python()
      let second = try scene.python()
      #expect(try first("l = listener('0.0.0.0', 80, reuseport=1)") == "ok")
      #expect(try second("listener('0.0.0.0', 80)") == "EADDRINUSE")
      #expect(try second("l = listener('0.0.0.0', 80, reuseport=1)") == "ok")
      #expect(Set(try scene.broker.associations().map(\.pid)) == [first.pid, second.pid])
      // A revoke of one leaves the other.
      let revoked = try scene.postern("revoke", "--pid", "\(first.pid)")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      for _ in 0..<8 {
        try second.tell("serve(l, 'second')")
        #expect(try scene.status("http://127.0.0.1/") == "200")
        #expect(second.heard() == "ok")
      }
    }
  }

  @Test func `a udp socket on port 53 receives, and no more after a revoke`() throws {
    let policy = Policies.sockets(["names": "udp://127.0.0.1:53"], operations: "bind, receive, send")
    try Scene.run(policy) { scene in
      let program = try scene.python()
      let client = try scene.python(isPlain: true)
      #expect(try program("u = tcp(socket.AF_INET, socket.SOCK_DGRAM)") == "ok")
      #expect(try program("u.settimeout(1)") == "ok")
      #expect(try program("u.bind(('127.0.0.1', 53))") == "ok")
      #expect(try client("c = tcp(socket.AF_INET, socket.SOCK_DGRAM)") == "ok")
      #expect(try client("c.sendto(b'query', ('127.0.0.1', 53))") == "5")
      #expect(try program("u.recv(100)") == "b'query'")
      let revoked = try scene.postern("revoke", "--object", "names")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      _ = try client("c.sendto(b'query', ('127.0.0.1', 53))")
      #expect(try program("u.recv(100)") != "b'query'")
    }
  }

  @Test func `a port of another network namespace is another object`() throws {
    try Scene.run(Policies.web()) { scene in
      let elsewhere = try NetworkNamespace()
      defer { elsewhere.remove() }
      let stranger = try scene.python(in: elsewhere)
      #expect(try stranger("tcp().bind(('0.0.0.0', 80))") == "EACCES")
      let isRecorded = try eventually { try !scene.refusals(of: stranger.pid).isEmpty }
      #expect(isRecorded)
      let program = try scene.python()
      #expect(try program("tcp().bind(('0.0.0.0', 80))") == "ok")
    }
  }

  @Test func `what the kernel says against a granted bind reaches the program`() throws {
    try Scene.run(Policies.sockets(["web": "tcp://127.0.0.1:80", "far": "tcp://192.0.2.1:80"])) { scene in
      let program = try scene.python()
      #expect(try program("s = tcp()") == "ok")
      #expect(try program("s.bind(('127.0.0.1', 80))") == "ok")
      #expect(try program("s.bind(('127.0.0.1', 80))") == "EINVAL")
      #expect(try program("tcp().bind(('127.0.0.1', 80))") == "EADDRINUSE")
      #expect(try program("tcp().bind(('192.0.2.1', 80))") == "EADDRNOTAVAIL")
    }
  }

  @Test func `a port is free as soon as its program has closed it`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program("s = tcp()") == "ok")
      for _ in 0..<20 {
        #expect(try program("s.bind(('0.0.0.0', 80))") == "ok")
        #expect(try program("s.close()") == "ok")
        #expect(try program("s = tcp()") == "ok")
      }
      #expect(try program("s.bind(('0.0.0.0', 80))") == "ok")
      // And as soon as it has ended.
      program.end()
      let next = try scene.python()
      #expect(try next("tcp().bind(('0.0.0.0', 80))") == "ok")
    }
  }

  @Test func `every thread and every child of a program may bind what is granted`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program("import threading") == "ok")
      #expect(try program("def bind(): names.append(tcp().bind(('0.0.0.0', 80)))") == "ok")
      #expect(try program("names = []") == "ok")
      #expect(try program("t = threading.Thread(target=bind); t.start(); t.join()") == "ok")
      #expect(try program("names") == "[None]")
      #expect(try program("import subprocess, sys") == "ok")
      let child = "import socket; socket.socket().bind((\\\"0.0.0.0\\\", 80))"
      #expect(try program("subprocess.run([sys.executable, '-c', \"\(child)\"]).returncode") == "0")
    }
  }
}

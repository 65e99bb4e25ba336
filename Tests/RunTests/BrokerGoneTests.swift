import Foundation
import Glibc
import TestSupport
import Testing

/// A broker that ends while programs run, and one that comes back: never ENOSYS, never a hang.
@Suite(
  .enabled(if: Tier.root, "needs root: network namespaces"),
  .enabled(if: Tier.has("python3", "curl"), "needs python3 and curl"), .timeLimit(.minutes(3)))
struct BrokerGoneTests {
  private static let bind = "tcp().bind(('0.0.0.0', 80))"

  /// Seconds that an answer took, and the answer.
  private func timed(_ program: Dialogue, _ line: String) throws -> (answer: String, seconds: Double) {
    let start = Date()
    let answer = try program(line)
    return (answer, Date().timeIntervalSince(start))
  }

  @Test(arguments: [SIGTERM, SIGKILL])
  func `a program whose broker has ended gets the kernel's own answer, and is served by the next broker`(
    signal: Int32
  ) throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program(Self.bind) == "ok")
      scene.broker.end(signal)
      let alone = try timed(program, Self.bind)
      #expect(alone.answer == "EACCES")
      #expect(alone.seconds < 1)
      #expect(try program("listener('0.0.0.0', 8080)") == "ok")
      #expect(try program("open('/proc/self/stat').read(1) != ''") == "True")
      try scene.restart()
      let ready = Date()
      let isServed = try eventually { try program(Self.bind) == "ok" }
      let taken = Date().timeIntervalSince(ready)
      #expect(isServed, "\(scene.broker.errors)")
      print("served \(Int(taken * 1000)) ms after the broker was ready")
      #expect(taken < 1)
      #expect(try scene.broker.associations().map(\.pid) == [program.pid])
    }
  }

  @Test func `what was granted before goes on working while there is no broker`() throws {
    try Scene.run(Policies.web()) { scene in
      let service = try scene.run("python3", "-m", "http.server", "80", "--directory", scene.folder + "/open")
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(service.output)")
      scene.broker.end(SIGKILL)
      #expect(try scene.status("http://127.0.0.1/") == "200")
      try scene.restart()
      #expect(try scene.status("http://127.0.0.1/") == "200")
    }
  }

  @Test(arguments: [SIGTERM, SIGKILL])
  func `what one broker handed over the next one lists and takes back`(signal: Int32) throws {
    try Scene.run(Policies.web()) { scene in
      let service = try scene.run("python3", "-m", "http.server", "80", "--directory", scene.folder + "/open")
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(service.output)")
      scene.broker.end(signal)
      try scene.restart()
      let isListed = try eventually { try scene.broker.associations().map(\.pid) == [service.pid] }
      #expect(isListed, "\(scene.broker.errors)")
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(revoked.output.contains("recalled"), "\(revoked.output)")
      #expect(try scene.status("http://127.0.0.1/", "--max-time", "1") != "200")
    }
  }

  @Test func `a call that a broker leaves behind when it is killed ends with the kernel's own answer`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      for _ in 0..<5 {
        #expect(try program("s = tcp()") == "ok")
        try scene.broker.whileStopped {
          try program.tell("s.bind(('0.0.0.0', 80))")
          // x86_64 49, aarch64 200: it waits in bind(2).
          let waits = eventually {
            let call = try? String(contentsOfFile: "/proc/\(program.pid)/syscall", encoding: .utf8)
            return call?.hasPrefix("49 ") ?? false || call?.hasPrefix("200 ") ?? false
          }
          #expect(waits)
          kill(scene.broker.pid, SIGKILL)
        }
        let killed = Date()
        #expect(program.heard() == "EACCES")
        #expect(Date().timeIntervalSince(killed) < 1)
        scene.broker.end()
        try scene.restart()
        let isServed = try eventually { try program(Self.bind) == "ok" }
        #expect(isServed, "\(scene.broker.errors)")
      }
    }
  }

  @Test func `brokers that are killed again and again lose no call of several threads`() throws {
    try Scene.run(Policies.web()) { scene in
      let program = try scene.python()
      #expect(try program("import threading, errno, collections") == "ok")
      #expect(try program("seen = collections.Counter(); going = [1]") == "ok")
      // A port that is granted, one that is not, and the same by a new process, which has no association yet.
      let hammer = """
        def once(port):
         s = tcp(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
         try: s.bind(('0.0.0.0', port)); return 'ok'
         except OSError as e: return errno.errorcode[e.errno]
         finally: s.close()
        def hammer(port):
         while going: seen[str(port) + ' ' + once(port)] += 1
        def fork():
         while going:
          child = os.fork() or os._exit(0 if once(80) in ('ok', 'EACCES') else 1)
          seen['forked ' + str(os.waitpid(child, 0)[1])] += 1
        """
      let line = hammer.replacing("\n", with: "\\n")
      #expect(try program("exec(\"\"\"\(line)\"\"\", globals())") == "ok")
      #expect(
        try program("ts = [threading.Thread(target=hammer, args=[p]) for p in (80, 80, 81)]") == "ok")
      #expect(try program("ts.append(threading.Thread(target=fork))") == "ok")
      #expect(try program("for t in ts: t.start()") == "ok")
      for turn in 0..<8 {
        usleep(UInt32.random(in: 0..<150_000))
        scene.broker.end(turn % 2 == 0 ? SIGKILL : SIGTERM)
        usleep(UInt32.random(in: 0..<150_000))
        try scene.restart()
      }
      #expect(try program("n = seen['80 ok']") == "ok")
      let isServed = try eventually { try program("seen['80 ok'] > n") == "True" }
      #expect(isServed)
      #expect(try program("going.clear()") == "ok")
      #expect(try program("for t in ts: t.join(10)") == "ok")
      #expect(try program("any(t.is_alive() for t in ts)") == "False", "a call hangs")
      // Granted, or the kernel's own answer; nothing else, and a child never anything else either.
      let answers = try program("' '.join(sorted(k for k in seen if k != '80 EACCES'))")
      #expect(answers == "80 ok 81 EACCES forked 0")
    }
  }
}

import Foundation
import TestSupport
import Testing

/// polkit CVE-2019-6133: a process that gets the number of one that was authorized.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces"), .timeLimit(.minutes(3)))
struct PidReuseTests {
  private static let python = URL(fileURLWithPath: "/usr/bin/python3").resolvingSymlinksInPath().path
  /// Ends with 0 where it could bind, else with the errno.
  private static let bind =
    "import socket,sys\\ntry:\\n socket.socket().bind((\\\"0.0.0.0\\\",80))\\nexcept OSError as e:\\n sys.exit(e.errno)"

  @Test func `a process with the number of an authorized one that has ended is a stranger`() throws {
    try Scene.run(Policies.web(application: ", executable: \(Self.python)")) { scene in
      // Another file with the same program in it.
      let stranger = scene.folder + "/stranger"
      try FileManager.default.copyItem(atPath: Self.python, toPath: stranger)
      let program = try scene.python()
      let define =
        "def born(path):\\n p=os.fork()\\n if p==0:\\n  os.environ[\\\"PYTHONHOME\\\"]=\\\"/usr\\\"\\n"
        + "  os.execv(path,[path,\\\"-c\\\",code])\\n return p,os.waitpid(p,0)[1]>>8"
      #expect(try program("code = \"\(Self.bind)\"") == "ok")
      #expect(try program("exec(\"\(define)\")") == "ok")
      let first = try program("born('\(Self.python)')")
      let number = try #require(Int(first.dropFirst().prefix { $0.isNumber }))
      #expect(first == "(\(number), 0)", "the granted program could not bind")
      var last = ""
      for _ in 0..<300 {
        try Data("\(number - 1)".utf8).write(to: URL(fileURLWithPath: "/proc/sys/kernel/ns_last_pid"))
        last = try program("born('\(stranger)')")
        #expect(last.hasSuffix(", 13)"), "a stranger could bind: \(last)")
        if last == "(\(number), 13)" { break }
      }
      #expect(last == "(\(number), 13)", "the number was never given out again")
      // And the number does not stand against the right program.
      #expect(try program("born('\(Self.python)')").hasSuffix(", 0)"))
    }
  }
}

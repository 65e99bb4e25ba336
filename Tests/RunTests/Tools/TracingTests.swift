import Foundation
import TestSupport
import Testing

/// Debuggers, filters and programs of a special kind inside `postern run`.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces, loop devices"), .timeLimit(.minutes(3)))
struct TracingTests {
  private static let bind = "import socket; socket.socket().bind((\"127.0.0.1\", 80)); print(\"bound\")"

  private func run(application: String = "", _ body: (Scene, LoopDisks) throws -> Void) throws {
    try Scene.run(disks: 1) {
      Policies.granting(
        [.disk("disk", $0.paths[0]), .listener("web", "tcp://127.0.0.1:80")], application: application)
    } _: { scene, disks in
      try body(scene, disks)
    }
  }

  @Test func `a program with a tracer is refused, and told as without Postern`() throws {
    try run { scene, disks in
      let traced = try scene.runToEnd("strace", "-f", "-e", "trace=bind", "python3", "-c", Self.bind)
      #expect(traced.output == "")
      #expect(traced.errors.contains("= -1 EACCES"), "\(traced.errors)")
      #expect(traced.errors.contains("PermissionError"))
      let debugged = try scene.runToEnd(
        "gdb", "-nx", "-batch", "-ex", "run", "--args", "dd", "if=\(disks.paths[0])", "count=1", "of=/dev/null")
      #expect((debugged.output + debugged.errors).contains("Permission denied"), "\(debugged.output)\(debugged.errors)")
      #expect(Set(try scene.refusals(of: "web").map(\.detail)) == ["tracer"])
      #expect(Set(try scene.refusals(of: "disk").map(\.detail)) == ["tracer"])
    }
  }

  @Test func `a program is refused though only another of its threads has a tracer`() throws {
    // A child traces the thread; the one that binds is left alone.
    let program = """
      import ctypes, os, threading, time
      c = ctypes.CDLL(None)
      c.prctl(0x59616d61, ctypes.c_ulong(2 ** 64 - 1))
      thread = threading.Thread(target=lambda: time.sleep(20), daemon=True)
      thread.start()
      child = os.fork()
      if child == 0:
        traced = c.ptrace(0x4206, thread.native_id, None, None) == 0
        print("traced" if traced else "not traced", flush=True)
        time.sleep(10)
        os._exit(0)
      time.sleep(1)
      try:
        \(Self.bind)
      finally:
        os.kill(child, 9)
      """
    try run { (scene: Scene, _: LoopDisks) throws in
      let bound = try scene.runToEnd("python3", "-c", program)
      #expect(bound.output == "traced\n" && bound.errors.contains("PermissionError"), "\(bound)")
      #expect(Set(try scene.refusals(of: "web").map(\.detail)) == ["tracer"])
    }
    try run(application: ", traceable: true") { (scene: Scene, _: LoopDisks) throws in
      let bound = try scene.runToEnd("python3", "-c", program)
      #expect(bound.output == "traced\nbound\n", "\(bound)")
    }
  }

  @Test func `strace and gdb work inside where the policy lets the program be traced`() throws {
    try run(application: ", traceable: true") { scene, disks in
      let traced = try scene.runToEnd("strace", "-f", "-e", "trace=bind", "python3", "-c", Self.bind)
      #expect(traced.status == 0 && traced.output == "bound\n", "\(traced.errors)")
      #expect(traced.errors.contains("sin_port=htons(80)"))
      let debugged = try scene.runToEnd(
        "gdb", "-nx", "-batch", "-ex", "run", "--args", "dd", "if=\(disks.paths[0])", "count=1", "of=/dev/null")
      let said = debugged.output + debugged.errors
      #expect(said.contains("1+0 records out"), "\(said)")
      #expect(said.contains("exited normally"))
    }
  }

  @Test func `strace around postern run follows into the program`() throws {
    try run(application: ", traceable: true") { scene, _ in
      let traced = try scene.shell("strace -f -e trace=bind,execve $RUN python3 -c '\(Self.bind)'")
      #expect(traced.status == 0 && traced.output == "bound\n", "\(traced.errors)")
    }
  }

  @Test func `a program may install a filter of its own, but not one with a listener`() throws {
    try run { scene, _ in
      let program = try Programs.path("own-filter")
      #expect(try scene.runToEnd(program, "plain").output == "filter: installed\nchroot: ENOSYS\nbind: done\n")
      #expect(try scene.runToEnd(program, "listener").output == "filter: EBUSY\nchroot: EPERM\nbind: done\n")
      #expect(try scene.plainly(program, "listener").output == "filter: installed\nchroot: ENOSYS\nbind: EACCES\n")
    }
  }

  @Test func `postern run inside postern run says that there is a filter already`() throws {
    try run { scene, _ in
      let nested = try scene.shell("$RUN $RUN touch $W/ran; echo $?; ls $W")
      #expect(nested.output == "125\n")
      #expect(nested.errors.contains("a seccomp filter with a listener already"), "\(nested.errors)")
    }
  }

  @Test func `a set-user-ID program runs without that, and postern says so`() throws {
    try run { scene, _ in
      let program = scene.folder + "/open/who"
      try scene.rootShell("cp /usr/bin/id \(program) && chmod 4755 \(program)")
      #expect(try scene.plainly(program).output.contains("euid=0(root)"))
      let run = try scene.runToEnd(program)
      #expect(run.output == "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n")
      #expect(run.errors.contains("is set-user-ID to root; it runs without that here"), "\(run.errors)")
    }
  }

  @Test func `scripts and static programs get what is granted`() throws {
    try run { scene, disks in
      let scripts = try scene.shell(
        """
        cd $W
        printf '#!/usr/bin/dash\\nhead -n 1 %s; echo $0 $1; exit 9\\n' \(disks.paths[0]) > script
        printf 'head -n 1 %s; echo $1; exit 3\\n' \(disks.paths[0]) > bare
        printf '#!/no/such/interpreter\\n' > broken
        chmod 755 script bare broken
        $RUN ./script 'a b'; echo $?
        $RUN ./bare 'a b'; echo $?
        $RUN ./broken; echo $?
        $RUN busybox head -n 1 \(disks.paths[0])
        """)
      #expect(scripts.output == "disk 0\n./script a b\n9\ndisk 0\na b\n3\n127\ndisk 0\n", "\(scripts.errors)")
    }
  }
}

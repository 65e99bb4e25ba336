import Foundation
import TestSupport
import Testing

/// `postern open`: programs that take their sockets and files from whoever starts them.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces, loop devices"), .timeLimit(.minutes(3)))
struct OpenCommandTests {
  private func run(application: String = "", _ body: (Scene, LoopDisks) throws -> Void) throws {
    try Scene.run(disks: 1) {
      Policies.granting(
        [
          .disk("disk", $0.paths[0]), .listener("web", "tcp://127.0.0.1:80"),
          .socket("bound", "tcp://127.0.0.1:81", "bind"),
        ], application: application)
    } _: { scene, disks in
      try body(scene, disks)
    }
  }

  @Test func `a program finds its objects from descriptor 3 on, named and in order`() throws {
    try run { scene, _ in
      let activated = try scene.shell(
        """
        for file in /proc/self/fd/*; do number=${file##*/}; [ $number -le 2 ] || eval "exec $number>&-"; done
        $POSTERN open web,disk,bound -- \(try Programs.path("activated"))
        """)
      #expect(
        activated.output == """
          fds 3, names web:disk:bound, pid its own
          3: close-on-exec 0, access 2, blocking 1, socket of type 1, port 80, listening
          4: close-on-exec 0, access 0, blocking 1, file: 5 disk 
          5: close-on-exec 0, access 2, blocking 1, socket of type 1, port 81, not listening

          """, "\(activated.errors)")
    }
  }

  @Test func `a Python server serves the socket that it is given`() throws {
    try run { scene, _ in
      let server = try Service(
        scene.unprivileged() + [
          try Programs.path("postern"), "--socket", scene.broker.socket, "open", "web", "--", "python3", "-c",
          """
          import http.server, socket
          server = http.server.HTTPServer(("", 0), http.server.SimpleHTTPRequestHandler, bind_and_activate=False)
          server.socket = socket.socket(fileno=3)
          server.serve_forever()
          """,
        ], output: scene.folder + "/output")
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering, "\(server.output)")
      let held = try scene.broker.associations()
      #expect(held.map(\.pid) == [server.pid])
      #expect(held.map(\.object) == ["web"])
      #expect(held.map(\.path) == ["handover"])
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(try scene.status("http://127.0.0.1/").hasPrefix("curl "))
    }
  }

  @Test func `a script is judged by its interpreter`() throws {
    try run(application: ", executable: $FOLDER/chosen") { scene, _ in
      try scene.rootShell("cp --dereference /usr/bin/dash \(scene.folder)/chosen")
      let scripts = try scene.shell(
        """
        cd $W
        printf '#!\(scene.folder)/chosen\\nhead -c 4 <&3\\n' > mine
        printf '#!/usr/bin/dash\\nhead -c 4 <&3\\n' > other
        chmod 755 mine other
        $POSTERN open disk -- ./mine; echo " $?"
        $POSTERN open disk -- ./other; echo " $?"
        """)
      #expect(scripts.output == "disk 0\n 125\n", "\(scripts.errors)")
    }
  }

  @Test func `the executable that the policy names is the program's, not postern's`() throws {
    try run(application: ", executable: $FOLDER/chosen") { scene, _ in
      try scene.rootShell("cp \(try Programs.path("activated")) \(scene.folder)/chosen")
      let chosen = try scene.shell("$POSTERN open disk -- \(scene.folder)/chosen")
      #expect(chosen.output.contains("3: close-on-exec 0, access 0, blocking 1, file: 5 disk"), "\(chosen.errors)")
      let other = try scene.shell("$POSTERN open disk -- \(try Programs.path("activated")); echo $?")
      #expect(other.output == "125\n")
    }
  }

  @Test func `who claims one program and runs another loses the socket, and it is recorded`() throws {
    try run(application: ", executable: $FOLDER/chosen") { scene, _ in
      let accepting = try Programs.path("accepting")
      try scene.rootShell("cp \(accepting) \(scene.folder)/chosen")
      let claim = "\(try Programs.path("other-claim")) \(scene.broker.socket) web \(scene.folder)/chosen"
      let honest = try scene.shell("\(claim) \(scene.folder)/chosen")
      #expect(honest.output == "handed over\nstill there\n", "\(honest.errors)")
      #expect(try scene.refusals(of: "web").isEmpty)
      let other = try scene.shell("\(claim) \(accepting)")
      #expect(other.output == "handed over\ntaken back: accept gives EINVAL\n", "\(other.errors)")
      #expect(try scene.refusals(of: "web").map(\.detail) == ["execed"])
      // Where nothing claims it, nothing is handed over at all.
      let plain = try scene.shell(
        "\(try Programs.path("other-claim")) \(scene.broker.socket) web \(accepting) \(accepting)")
      #expect(plain.output.hasPrefix("refused: "), "\(plain.output)")
    }
  }

  @Test func `nothing is run where an object is refused`() throws {
    try run { scene, _ in
      for objects in ["nothing", "web,nothing"] {
        let refused = try scene.shell("$POSTERN open \(objects) -- touch $W/ran; echo $?; ls $W")
        #expect(refused.output == "125\n", "\(objects)")
        #expect(refused.errors.contains("open nothing: refused: no-such-object"), "\(refused.errors)")
      }
      let isFree = eventually { (try? scene.shell("$POSTERN open web -- true").status) == 0 }
      #expect(isFree, "what was handed over before the refusal is given back")
    }
  }
}

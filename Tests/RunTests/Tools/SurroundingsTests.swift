import Foundation
import TestSupport
import Testing

/// A program under `postern run` finds what it would find without: `postern` has become the program.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces, loop devices"), .timeLimit(.minutes(3)))
struct SurroundingsTests {
  private func run(_ body: (Scene) throws -> Void) throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.paths[0]), .listener("web", "tcp://0.0.0.0:80")])
    } _: { scene, _ in
      try body(scene)
    }
  }

  /// What a program says that `start`, a script in which `"$@"` stands before it, starts plainly and by `postern run`.
  private func compare(_ start: String, _ scene: Scene) throws -> (plain: [String], run: [String]) {
    let compared = try scene.shell(
      """
      cat > $W/start <<'END'
      \(start)
      END
      bash $W/start 2>&1 | tr -d '\\r' > $W/plain
      bash $W/start $RUN 2>&1 | tr -d '\\r' > $W/run
      """)
    #expect(compared.status == 0, "\(compared.errors)")
    func lines(_ name: String) throws -> [String] {
      try String(contentsOfFile: "\(scene.folder)/open/\(name)", encoding: .utf8).components(separatedBy: "\n")
    }
    return (try lines("plain"), try lines("run"))
  }

  private static func differing(_ plain: [String], _ run: [String]) -> [String] {
    run.difference(from: plain).map { "\($0)" }
  }

  @Test func `arguments, environment, folder, mask, limits, priority and descriptors are the same`() throws {
    try run { scene in
      let (plain, run) = try compare(
        """
        umask 027; ulimit -n 345; ulimit -c 0; cd /usr; export FOO=bar EMPTY= LISTEN_FDS=3
        exec 7</etc/passwd 8>>$W/appended; read -u 7 line
        exec nice -n 5 "$@" \(try Programs.path("surroundings")) 7 'a b' '' </etc/hosts
        """, scene)
      #expect(Self.differing(plain, run) == [])
      for line in [
        "children: ECHILD", "argument 2: a b", "argument 3: ", "variable: FOO=bar", "variable: EMPTY=", "cwd: /usr",
        "limit 7: 345 345", "Umask:\t0027", "descriptor 0: /etc/hosts, flags 8000 0, at 0",
      ] {
        #expect(run.contains(line), "\(line)")
      }
      #expect(run.contains { $0.hasPrefix("descriptor 7: /etc/passwd, flags 8000 0, at ") })
      #expect(run.contains { $0.hasPrefix("descriptor 8: ") })
    }
  }

  @Test func `ignored and blocked signals stay so, and the others stay as they are`() throws {
    try run { scene in
      let (plain, run) = try compare(
        """
        exec env --default-signal=PIPE --ignore-signal=INT --ignore-signal=USR1 --block-signal=TERM \\
          --block-signal=USR2 "$@" \(try Programs.path("surroundings"))
        """, scene)
      #expect(Self.differing(plain, run) == [])
      for line in [
        "signal 2: ignored", "signal 10: ignored", "signal 13: default", "signal 15: default, blocked",
        "signal 12: default, blocked", "signal 1: default",
      ] {
        #expect(run.contains(line), "\(line)")
      }
    }
  }

  @Test func `an ignored SIGPIPE stays ignored`() throws {
    try run { scene in
      let (plain, run) = try compare(
        "exec env --ignore-signal=PIPE \"$@\" \(try Programs.path("surroundings"))", scene)
      #expect(Self.differing(plain, run) == [])
      #expect(run.contains("signal 13: ignored"))
    }
  }

  @Test func `the program has the pid, the group, the session and the terminal that were meant for it`() throws {
    try run { scene in
      let terminal = try Programs.path("terminal")
      let (plain, run) = try compare(
        "exec python3 \(terminal) \"$@\" \(try Programs.path("surroundings")) </dev/null", scene)
      func comparable(_ lines: [String]) -> [String] {
        lines.map { $0.replacing(/dev.pts.[0-9]+/, with: "dev/pts/N") }
      }
      #expect(Self.differing(comparable(plain), comparable(run)) == [])
      for line in ["leads its group: 1, its session: 1", "terminal: yes", "in the foreground: 1"] {
        #expect(run.contains(line), "\(line)")
      }
      let pid = try scene.shell("$RUN bash -c 'echo $$ $PPID' & echo $! $$; wait")
      let numbers = Set(pid.output.split(separator: "\n"))
      #expect(numbers.count == 1, "\(pid.output)\(pid.errors)")
    }
  }

  @Test func `exit codes are the program's, or say who failed`() throws {
    try run { scene in
      let codes: [(String, Int)] = [
        ("$RUN true", 0), ("$RUN false", 1), ("$RUN bash -c 'exit 42'", 42), ("$RUN bash -c 'exit 125'", 125),
        ("$RUN bash -c 'kill -KILL $$'", 137), ("$RUN bash -c 'kill -TERM $$'", 143), ("$RUN no-such-program", 127),
        ("$RUN /no/such/program", 127), ("$RUN /tmp", 126), ("$RUN /etc/passwd", 126),
        ("$POSTERN --socket $W/nobody run -- true", 125), ("$POSTERN run --object nothing -- true", 125),
      ]
      for (line, code) in codes {
        let run = try scene.shell("(\(line)); echo $?")
        #expect(run.output == "\(code)\n", "\(line): \(run.errors)")
      }
    }
  }

  @Test func `who waits for a program that was killed sees the signal`() throws {
    try run { scene in
      let waited = try scene.shell(
        """
        python3 -c '
        import subprocess, sys, signal
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGINT, signal.SIGPIPE, signal.SIGALRM):
          program = subprocess.Popen(sys.argv[1:] + ["bash", "-c", "ulimit -c 0; kill -%d $$; sleep 9" % number])
          print(program.wait() == -number)
        started = subprocess.Popen(sys.argv[1:] + ["bash", "-c", "echo started; exec sleep 100"], stdout=subprocess.PIPE)
        started.stdout.readline()
        started.terminate()
        print(started.wait() == -signal.SIGTERM)' $RUN
        """)
      #expect(waited.output == String(repeating: "True\n", count: 7), "\(waited.output)\(waited.errors)")
    }
  }

  @Test func `ten megabytes pass standard input, output and errors byte by byte`() throws {
    try run { scene in
      let passed = try scene.shell(
        """
        head -c 10000000 /dev/urandom > $W/in
        cat $W/in | $RUN cat | cmp - $W/in || echo output
        $RUN cat < $W/in > $W/out; cmp $W/out $W/in || echo file
        cat $W/in | $RUN bash -c 'cat >&2' 2> $W/errors; cmp $W/errors $W/in || echo errors
        """)
      #expect(passed.output == "" && passed.errors == "" && passed.status == 0, "\(passed.output)\(passed.errors)")
    }
  }

  @Test func `nothing is left when the program has ended`() throws {
    try run { scene in
      for line in ["$RUN true", "$RUN bash -c 'kill -KILL $$'", "$RUN no-such-program", "$RUN /etc/passwd"] {
        _ = try scene.shell(line)
        let isEmpty = scene.isEmpty()
        #expect(isEmpty, "\(line): \(scene.network.pids)")
      }
      #expect(try scene.broker.associations().isEmpty)
    }
  }

  @Test func `what a program leaves running goes on being served`() throws {
    try run { scene in
      let left = try scene.run(
        "bash", "-c", "setsid bash -c 'sleep 0.5; exec python3 -m http.server 80' > /dev/null 2>&1 &")
      let hasEnded = eventually { !left.isRunning }
      #expect(hasEnded)
      let isAnswering = try scene.answers("http://127.0.0.1/")
      #expect(isAnswering)
    }
  }
}

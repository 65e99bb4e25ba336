import Foundation
import TestSupport
import Testing

/// Shells, pipelines, jobs and builds, with every open of a file notified.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces, loop devices"), .timeLimit(.minutes(5)))
struct ShellTests {
  private func run(_ body: (Scene, LoopDisks) throws -> Void) throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.paths[0])])
    } _: { scene, disks in
      try body(scene, disks)
    }
  }

  @Test func `a hundred pipelines in dash end, each by postern run`() throws {
    try run { scene, disks in
      let counted = try scene.shell(
        """
        for i in $(seq 100); do
          $RUN dash -c 'dd if=\(disks.paths[0]) bs=4k count=5 status=none | cat | wc -c'
        done | sort | uniq -c
        """, limit: 150)
      #expect(counted.status == 0)
      #expect(counted.output == "    100 20480\n", "\(counted.errors)")
    }
  }

  @Test func `a hundred pipelines in one dash end`() throws {
    try run { scene, disks in
      let counted = try scene.shell(
        """
        $RUN dash -c 'i=0
        while [ $i -lt 100 ]; do
          dd if=\(disks.paths[0]) bs=4k count=5 status=none | cat | wc -c
          i=$((i+1))
        done' | sort | uniq -c
        """)
      #expect(counted.status == 0)
      #expect(counted.output == "    100 20480\n", "\(counted.errors)")
    }
  }

  @Test func `pipelines of programs that each have a filter of their own end`() throws {
    try run { scene, disks in
      let counted = try scene.shell(
        """
        for i in $(seq 20); do
          $RUN dd if=\(disks.paths[0]) bs=4k count=5 status=none | $RUN cat | $RUN wc -c
        done | sort | uniq -c
        """, limit: 100)
      #expect(counted.status == 0)
      #expect(counted.output == "     20 20480\n", "\(counted.errors)")
    }
  }

  @Test func `make with four jobs builds what it builds without`() throws {
    try run { scene, _ in
      let built = try scene.shell(
        """
        mkdir $W/build && cd $W/build
        for i in $(seq 20); do echo "int f$i(void) { return $i; }" > f$i.c; done
        printf 'all: %s\\n%%.o: %%.c\\n\\tgcc -c $< -o $@\\n' "$(echo f{1..20}.o)" > Makefile
        make -s -j4 && cat f*.o | md5sum && rm f*.o
        $RUN make -s -j4 && cat f*.o | md5sum
        """)
      let sums = built.output.split(separator: "\n")
      #expect(built.status == 0 && sums.count == 2, "\(built.output)\(built.errors)")
      #expect(Set(sums).count == 1)
    }
  }

  /// What is typed; `command` is what the shell runs as a job. It prints "started" once it does.
  private func jobControl(_ command: String, then: String = "") -> String {
    #"""
    send PS1=$(printf 'rea%s> ' dy)\r
    expect ready> 
    send \#(command)\r
    expect started
    send \x1a
    expect Stopped
    expect ready> 
    send jobs\r
    expect \[1\]\+  Stopped
    expect ready> 
    send bg\r
    expect ready> 
    send jobs\r
    expect \[1\]\+  Running
    expect ready> 
    send fg\r
    expect sleep 100
    job
    send \x03
    expect ready> 
    send echo "code $?"\r
    expect code 130
    expect ready> 
    send \#(command) &\r
    expect started
    send kill %1\r
    expect ready> 
    send wait; jobs; echo "done $?"\r
    expect done 0
    \#(then)
    send exit\r
    """#
  }

  private func type(_ steps: String, at shell: String, _ scene: Scene) throws -> Command.Result {
    try Data(steps.utf8).write(to: URL(fileURLWithPath: scene.folder + "/steps"))
    return try scene.shell(
      "python3 \(try Programs.path("terminal")) \(shell) --norc --noprofile -i < \(scene.folder)/steps")
  }

  @Test func `a shell under postern run stops, continues and ends its jobs`() throws {
    try run { scene, disks in
      let typed = try type(
        jobControl(
          #"bash -c 'echo sta""rted; exec sleep 100'"#,
          then: "send head -n 1 \(disks.paths[0]) | cat\\r\nexpect \\ndisk 0"), at: "$RUN bash", scene)
      #expect(typed.status == 0, "\(typed.output)\(typed.errors)")
      let isEmpty = scene.isEmpty()
      #expect(isEmpty, "\(scene.network.pids)")
    }
  }

  @Test func `a shell stops, continues and ends what it runs by postern run`() throws {
    try run { scene, _ in
      let typed = try type(
        jobControl(#"$RUN bash -c 'echo sta""rted; exec sleep 100'"#), at: "bash", scene)
      #expect(typed.status == 0, "\(typed.output)\(typed.errors)")
      let isEmpty = scene.isEmpty()
      #expect(isEmpty, "\(scene.network.pids)")
    }
  }
}

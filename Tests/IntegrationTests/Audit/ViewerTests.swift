import Foundation
import TestSupport
import Testing

/// `postern audit ui` on a pseudo-terminal, with a real broker.
@Suite(.enabled(if: Tier.has("python3"), "python3 is not installed"), .timeLimit(.minutes(5))) struct ViewerTests {
  /// - Parameter environment: variables for env(1).
  private func use(
    _ scene: Scene, _ steps: [String], _ arguments: [String] = [], environment: [String] = []
  ) throws -> String {
    try scene.write("steps", (["size 80 24"] + steps).joined(separator: "\n") + "\n")
    let words =
      scene.brokerUser.prefix
      + ["/usr/bin/env", "LC_ALL=C.UTF-8", "TERM=xterm"] + environment
      + ["python3", try Programs.path("screen"), try Programs.path("postern"), "--socket", scene.socket, "audit", "ui"]
      + arguments
    let line = words.map { "'\($0)'" }.joined(separator: " ") + " < '\(scene.folder)/steps'"
    let result = try Command.run(["/bin/sh", "-c", line])
    #expect(result.status == 0, "\(result.output.suffix(4000))\(result.errors)")
    return result.output
  }

  private func refused(_ scene: Scene, _ object: String) throws -> String {
    "'\(try Programs.path("postern"))' --socket '\(scene.socket)' read \(object) 2>/dev/null; test $? -eq 1"
  }

  @Test func `it filters, follows a live refusal, opens why, quits, and the terminal is as before`() throws {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "nothing-of-yours").status == 1)
      #expect(try scene.postern("read", "something-else").status == 1)
      let output = try use(
        scene,
        [
          "expect refused .*nothing-of-yours", "expect live", "send /object:nothing", "expect object:nothing-of-yours",
          "send \\t", "expect (?m)^filter object:nothing-of-yours", "send \\r", "expect q quit",
          "run \(try refused(scene, "something-else"))", "run \(try refused(scene, "nothing-of-yours"))",
          "expect 2 of [0-9]+ records", "send \\r", "expect why +no-such-object: ",
          "expect the policy has no such object",
          "expect what would have allowed exactly this", "size 200 50", "expect │", "send \\x1b", "expect q quit",
          "send q",
          "end 0",
        ])
      #expect(output.contains("RESTORED"))
    }
  }

  @Test func `the filter reaches what is older than the records that are kept`() throws {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "the-oldest").status == 1)
      for _ in 0..<8 { #expect(try scene.postern("read", "later").status == 1) }
      _ = try use(
        scene,
        [
          "expect refused .*later", "send /object:the-oldest\\r", "expect none of [0-9] records matches",
          "expect filter covers the newest [0-9] of [0-9]+", "expect o searches the older ones", "send o",
          "expect refused .*the-oldest", "send \\r", "expect the policy has no such object", "send \\x1b", "send q",
          "end 0",
        ], ["--newest", "5"])
    }
  }

  @Test func `every end sets the terminal back: a key, each signal, a reader that does not read`()
    throws
  {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "nothing-of-yours").status == 1)
      for (steps, status) in [
        (["send \\x03"], 0), (["signal 15"], -15), (["signal 1"], -1), (["signal 2"], -2), (["signal 11"], -11),
        (["signal 6"], -6), (["send ?x?x?x?x?x?x?x?x", "size 500 200", "pause 1", "signal 15"], -15),
      ] {
        let output = try use(scene, ["expect refused .*nothing-of-yours"] + steps + ["end \(status)"])
        #expect(output.contains("RESTORED"), "\(steps)")
      }
    }
  }

  @Test func `without the guard a program that is killed leaves the terminal as it drew on it`() throws {
    try Scene.run(Policies.image()) { scene in
      try scene.write("steps", "size 80 24\nexpect live\nsignal 9\nend -9\n")
      let line =
        "TERM=xterm python3 '\(try Programs.path("screen"))' '\(try Programs.path("postern"))' --socket "
        + "'\(scene.socket)' audit ui < '\(scene.folder)/steps'"
      let result = try Command.run(scene.brokerUser.prefix + ["/bin/sh", "-c", line])
      #expect(result.status == 1 && result.output.contains("MISSING: the terminal's"), "\(result.output)")
    }
  }

  @Test func `NO_COLOR gives no colour, and a name of the asker's acts on no terminal`() throws {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "ev\u{1B}[31mil").status == 1)
      let output = try use(scene, ["expect read ev.x1b.31mil", "send q", "end 0"], environment: ["NO_COLOR=1"])
      #expect(!output.contains("\u{1B}"))
    }
  }

  @Test func `a broker that goes and comes back is said, and what it then writes is shown`() throws {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "nothing-of-yours").status == 1)
      let again =
        "'\(try Programs.path("posternd"))' --policy '\(scene.policyPath)' --socket '\(scene.socket)' --state-dir "
        + "'\(scene.folder)/state' 2>'\(scene.folder)/again' & echo $! >'\(scene.folder)/pid'; "
        + "until grep -q ready '\(scene.folder)/again'; do sleep 0.1; done"
      _ = try use(
        scene,
        [
          "expect refused .*nothing-of-yours", "run kill -9 \(scene.brokerPID)", "expect no broker", "run \(again)",
          "expect live", "run \(try refused(scene, "after-that"))", "expect refused .*after-that", "send q", "end 0",
          "run kill $(cat '\(scene.folder)/pid')",
        ])
      _ = eventually { !FileManager.default.fileExists(atPath: scene.socket) }
      try scene.startAgain()
    }
  }

  @Test func `where there is no terminal it says so and prints nothing`() throws {
    try Scene.run(Policies.image()) { scene in
      let result = try scene.postern("audit", "ui")
      #expect(result.status == 64 && result.output.isEmpty && result.errors.contains("needs a terminal"))
    }
  }
}

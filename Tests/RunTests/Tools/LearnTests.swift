import Foundation
import TestSupport
import Testing

/// `postern run --learn`: what it prints is accepted as a policy, and lets the program work.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces, loop devices"), .timeLimit(.minutes(3)))
struct LearnTests {
  /// Runs a program with nothing granted, and again with what was learnt.
  private func learn(_ command: (LoopDisks) -> String, _ works: (Command.Result) -> Bool) throws {
    try Scene.run(disks: 1) { _ in
      "version: 1\n"
    } _: { scene, disks in
      // A copy of ping has no capabilities of its own.
      try scene.rootShell("cp /usr/bin/ping $W/ping && chmod 755 $W/ping")
      let learning = try scene.shell("$POSTERN run --learn --output $W/learned.yaml -- \(command(disks))")
      #expect(!works(learning), "it works with nothing granted")
      let path = scene.folder + "/open/learned.yaml"
      let check = try scene.postern("policy", "check", path)
      #expect(check.status == 0, "\(check.output)\(check.errors)")
      let learned = try String(contentsOfFile: path, encoding: .utf8)
      // The broker of these tests is in another network namespace than its programs.
      let placed = learned.replacing(/(listen: "[^"]*")/) { "\($0.output.1), network: \(scene.network.path)" }
      // Not by a reload: a broker keeps only the capabilities that its first policy needs.
      scene.broker.end()
      try scene.write(policy: placed)
      try scene.restart()
      let again = try scene.shell("$RUN \(command(disks))")
      #expect(works(again), "\(placed)\(again.output)\(again.errors)")
    }
  }

  @Test func `the policy learnt from a bind lets it happen`() throws {
    try learn({ _ in "python3 -c 'import socket; socket.socket().bind((\"127.0.0.1\", 80)); print(\"bound\")'" }) {
      $0.output == "bound\n" && $0.status == 0
    }
  }

  @Test func `the policy learnt from a disk that is read lets it be read`() throws {
    try learn({ "dd if=\($0.paths[0]) count=1 status=none" }) { $0.output.hasPrefix("disk 0\n") }
  }

  @Test func `the policy learnt from a disk that is written lets it be written`() throws {
    try learn({ "dd if=/dev/zero of=\($0.paths[0]) count=1 conv=notrunc" }) { $0.status == 0 }
  }

  @Test func `the policy learnt from a raw socket lets ping work`() throws {
    try learn({ _ in "$W/ping -c 1 -W 5 127.0.0.1" }) { $0.output.contains(" 0% packet loss") }
  }
}

import Foundation
import TestSupport
import Testing

/// A program goes on, and is told nothing wrong, whatever becomes of the broker and whatever interrupts it.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces, loop devices"), .timeLimit(.minutes(3)))
struct SurvivalTests {
  private func run(_ body: (Scene, LoopDisks) throws -> Void) throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.paths[0]), .listener("web", "tcp://127.0.0.1:80")])
    } _: { scene, disks in
      try body(scene, disks)
    }
  }

  @Test func `each of a thousand opens gives the device or EACCES while the broker is stopped, killed and started`()
    throws
  {
    try run { scene, disks in
      let opening = try scene.run(
        "timeout", "60", try Programs.path("opens-in-a-row"), disks.paths[0], "1000", "4000")
      func reached(_ count: Int, _ outcome: String) -> Bool {
        eventually { opening.output.components(separatedBy: ": \(outcome)\n").count > count }
      }
      #expect(reached(1, "opened"), "\(opening.output)")
      #expect(scene.broker.end() == 0)
      #expect(reached(1, "EACCES"), "\(opening.output)")
      try scene.restart()
      #expect(reached(2, "opened"), "\(opening.output)")
      scene.broker.end(SIGKILL)
      #expect(reached(2, "EACCES"), "\(opening.output)")
      try scene.restart()
      #expect(reached(3, "opened"), "\(opening.output)")
      let ended = eventually(within: 30) { !opening.isRunning }
      #expect(ended)
      let last = opening.output.split(separator: "\n").last ?? ""
      #expect(last.contains(", other 0, longest "), "\(opening.output)")
      #expect(last.split(separator: " ").dropLast().last.flatMap { Double($0) }.map { $0 < 2 } == true, "\(last)")
    }
  }

  @Test func `a program that is interrupted every millisecond is told nothing wrong`() throws {
    try run { scene, disks in
      for (how, isTold) in [("restart", "never"), ("no-restart", "")] {
        let program = try scene.runToEnd(
          "timeout", "60", try Programs.path("interrupted"), disks.paths[0], "3000", how)
        #expect(program.status == 0, "\(how): \(program.output)")
        let lines = program.output.split(separator: "\n")
        #expect(lines.count == 5, "\(program.output)")
        for line in ["interrupted at all: yes", "binds: 3000 done, 0 wrong", "opens: 3000 done, 0 wrong"] {
          #expect(lines.contains { $0 == line }, "\(how): \(program.output)")
        }
        #expect(lines.last == "descriptors left: 0", "\(how)")
        #expect(lines.contains { $0.hasPrefix("EINTR: \(isTold)") }, "\(how): \(program.output)")
      }
    }
  }
}

import Foundation
import Glibc
import Linux
import TestSupport
import Testing

/// Programs that open an object once more: one association, and a ring for each open.
@Suite(.enabled(if: Tier.rings, "rings of others need root")) struct RingAgainTests {
  /// A program with a ring that works, whose second open is answered by a hand when `end` is about to take effect: its memory is gone,
  /// which takes the kernel a while with so many pages, and nobody has been told of its end or exec yet.
  private func endsWhilePrepared(
    _ end: (Dialogue) -> Void, _ body: (Scene, Dialogue) throws -> Void
  ) throws -> Bool {
    var isReached = false
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      #expect(try process("on-signal read") == "0")
      #expect(try process("aside") == "0")
      _ = try process("ring")
      // A child keeps its connection, which so does not end together with it.
      #expect(try process("inherit image") == "0")
      #expect(try process("grow") == "0")
      try scene.whilePrepared(process, "open image") { () throws in
        end(process)
        let isGone = eventually(within: 5) {
          let pages = try? String(contentsOfFile: "/proc/\(process.pid)/statm", encoding: .utf8)
          return pages?.split(separator: " ").first.flatMap { Int($0) } ?? 0 < 1 << 20
        }
        #expect(isGone)
      }
      try body(scene, process)
      isReached = try scene.journal().contains { $0.message == "the asker could not be followed" }
    }
    return isReached
  }

  @Test func `a ring that works is emptied where its program executes another during a second open`() throws {
    let isReached = try (1...5).contains { _ in
      try endsWhilePrepared({ kill($0.pid, SIGUSR1) }) { (scene: Scene, process: Dialogue) throws in
        #expect(process.heard() == "EBADF")
        #expect(try scene.associations().isEmpty)
        #expect(try eventually { try scene.loopDevices() == 0 })
      }
    }
    #expect(isReached)
  }

  @Test func `nothing of two rings is left where their program is killed during the second open`() throws {
    let isReached = try (1...5).contains { _ in
      try endsWhilePrepared({ kill($0.pid, SIGKILL) }) { (scene: Scene, process: Dialogue) throws in
        process.end()
        let isEmpty = try eventually { try scene.ringHolders().hands.isEmpty }
        #expect(isEmpty)
        #expect(try scene.loopDevices() == 0)
        let left = try scene.table { $0.statistics() }
        #expect(left.live + left.tombstones + left.processes + left.limits == 0, "\(left)")
      }
    }
    #expect(isReached)
  }

  /// The object is on its way into a ring whose lock the program holds, and whoever puts it there is killed: it comes there all the
  /// same, when the lock is free.
  private func fillerIsKilled(_ scene: Scene, _ process: Dialogue) throws {
    let before = try scene.ringHolders().hands
    _ = try process("ring")
    try scene.whilePrepared(process, "begin image") { () throws in
      #expect(process.heard() == "0")
      #expect(try process("lock nop") == "1")
    }
    var filler: Int32?
    let isWaiting = try eventually {
      let hands = try scene.ringHolders().hands.filter { !before.contains($0) }
      filler = hands.first { pid in Scene.parent(of: pid).map(hands.contains) ?? false }
      return filler != nil
    }
    #expect(isWaiting)
    usleep(100_000)
    if let filler { kill(filler, SIGKILL) }
    #expect(try process("unlock") == "0")
    #expect(try process("begun") == "EKEYREJECTED refused")
  }

  @Test func `an object that came into a ring behind a hand's back is taken out`() throws {
    try Scene.run(RingPolicies.image(), application: .own) { scene in
      let process = try scene.start("library-ring", arguments: [])
      try fillerIsKilled(scene, process)
      #expect(try scene.journal().contains { $0.message?.contains("it is not known whether") ?? false })
      #expect(try eventually { try process("do read") == "EBADF" })
      #expect(try scene.associations().isEmpty)
      #expect(try eventually { try scene.loopDevices() == 0 })
    }
  }

  @Test func `without that it would be there`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.start([try Programs.path("library-ring"), scene.socket], as: .own)
      #expect(try process("twin \(scene.image)") == "0")
      #expect(try process("empty") == "16")
      #expect(try process("do read") == "EBADF")
      #expect(try process("lock nop") == "1")
      #expect(try process("put-apart") == "1")
      #expect(try process("unlock") == "0")
      #expect(try eventually { try process("do read") == "512" })
    }
  }

  @Test func `a second open that fails leaves the first ring as it is`() throws {
    try Scene.run(RingPolicies.image(), application: .own) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "0")
      #expect(try process("aside") == "0")
      try fillerIsKilled(scene, process)
      #expect(try eventually { try process("do read") == "EBADF" })
      #expect(try process("former read") == "512")
      #expect(try scene.associations().map(\.path) == ["ring"])
      #expect(try eventually { try scene.loopDevices() == 1 })
      #expect(try process("former-close") == "0")
      #expect(try eventually { try process("former read") == "EBADF" })
      #expect(try scene.associations().isEmpty)
    }
  }
}

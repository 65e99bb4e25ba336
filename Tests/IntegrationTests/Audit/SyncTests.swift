import Foundation
import Glibc
import TestSupport
import Testing

/// `postern audit sync` as a process beside a real broker.
@Suite struct SyncTests {
  private struct Line: Decodable {
    var applied: UInt64
    var lag: UInt64
  }

  private func line(_ scene: Scene, _ arguments: String...) throws -> [String] {
    [
      try Programs.path("postern"), "--socket", scene.socket, "audit", "sync", "--format", "json", "--state-dir",
      scene.folder + "/state", "--database", scene.folder + "/open/analysis",
    ] + arguments
  }

  private func reported(_ text: String) throws -> Line { try JSONDecoder().decode(Line.self, from: Data(text.utf8)) }

  /// The sequence numbers of the records in the database; nil: it is not there yet.
  private func synced(_ scene: Scene) throws -> [UInt64] {
    let listed = try scene.postern(
      "audit", "list", "--database", scene.folder + "/open/analysis", "--newest", "100000", "--format", "json")
    return try listed.output.split(separator: "\n").map {
      try JSONDecoder().decode(JournalRecord.self, from: Data($0.utf8)).sequence
    }
  }

  /// Refuses something, and waits until the database has all that the journal has.
  private func expectAll(_ scene: Scene, _ comment: Comment) throws {
    #expect(try scene.postern("read", "nothing-of-yours").status == 1)
    let wanted = try scene.journal().map(\.sequence)
    let isThere = try eventually(within: 20) { try synced(scene) == wanted }
    #expect(isThere, comment)
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func `a sync that follows brings in what comes, outlives its broker, and loses nothing when it is ended`(
    signal: Int32
  ) throws {
    try Scene.run(Policies.image()) { scene in
      let following = try scene.start(try line(scene, "--follow"), as: scene.brokerUser)
      try expectAll(scene, "beside the broker")
      let first = try reported(following.heard())
      #expect(first.applied > 0 && first.lag == 0)
      scene.killBroker()
      try scene.startAgain()
      try expectAll(scene, "beside the broker that followed the killed one")
      #expect(try reported(following.heard()).applied > first.applied)
      for _ in 0..<20 { #expect(try scene.postern("read", "in-between").status == 1) }
      kill(following.pid, signal)
      following.waitForEnd()
      following.end()
      // What it had not brought in, and what came since, the next one does.
      #expect(try scene.postern("read", "meanwhile").status == 1)
      let again = try scene.start(try line(scene, "--follow"), as: scene.brokerUser)
      try expectAll(scene, "after \(signal)")
      again.end()
      let last = try Command.run(try line(scene, "--once"))
      #expect(last.status == 0, "\(last)")
      #expect(try reported(last.output).lag == 0, "\(last)")
    }
  }

  @Test func `where the journal is damaged it ends with 65, and reports how far it lags`() throws {
    try Scene.run(Policies.image()) { scene in
      for _ in 0..<9 { #expect(try scene.postern("read", "nothing-of-yours").status == 1) }
      let all = try scene.journal().map(\.sequence)
      scene.killBroker()
      try scene.startAgain()
      let segment = URL(fileURLWithPath: scene.folder + "/state/journal-00000000000000000001.pj")
      var bytes = try Data(contentsOf: segment)
      // In the body of the first record: its boot id.
      bytes[128 + 48 + 20] ^= 1
      try bytes.write(to: segment)
      let stopped = try Command.run(try line(scene, "--once"))
      #expect(stopped.status == 65 && stopped.errors.contains("record 1 is missing"), "\(stopped)")
      #expect(try reported(stopped.output).lag >= UInt64(all.count))
    }
  }
}

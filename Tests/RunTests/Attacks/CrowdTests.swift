import Foundation
import Glibc
import TestSupport
import Testing

/// Many at once (LESSONS 8).
@Suite(.serialized, .enabled(if: Tier.root, "needs root: network namespaces"), .timeLimit(.minutes(10)))
struct CrowdTests {
  @Test func `64 threads that bind at once are all served`() throws {
    try Scene.attack { scene in
      for _ in 0..<(Tier.isSoak ? 100 : 5) {
        let came = try scene.assault("threads", "64", "80")
        #expect(came["granted"] == 64, "\(came)")
      }
    }
  }

  @Test func `a port is free again as soon as the program has closed its socket`() throws {
    try Scene.attack { scene in
      let came = try scene.assault("again", "80", Assault.tries)
      #expect(came["granted"] == came["tries"], "\(came)")
    }
  }

  @Test func `processes beyond the application's quota get nothing`() throws {
    try Scene.attack(Policies.portAndImage(", processes: 8")) { scene in
      let came = try scene.assault("forks", "100", "80")
      #expect(came["granted"] == 8, "\(came)")
      #expect(came["refused"] == 92, "\(came)")
      // They count while they live.
      let next = try scene.assault("forks", "4", "80")
      #expect(next["granted"] == 4, "\(next)")
    }
    try Scene.attack(Policies.portAndImage(", processes: 1000")) { scene in
      let came = try scene.assault("forks", "100", "80")
      #expect(came["granted"] == 100, "\(came)")
    }
  }

  @Test func `of two programs at once one gets an exclusive disk`() throws {
    for isExclusive in [true, false] {
      let policy = Policies.portAndImage(object: isExclusive ? ", exclusive: true" : "")
      try Scene.attack(policy) { scene in
        for _ in 0..<5 {
          let programs = try (0..<2).map { _ in try scene.attacker("intruder", "hold", scene.image) }
          let answers = programs.map { $0.heard() }.sorted()
          #expect(answers == (isExclusive ? ["EACCES", "ok"] : ["ok", "ok"]))
          for program in programs { program.end() }
        }
      }
    }
  }
}

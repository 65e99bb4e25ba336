import Foundation
import Glibc
import TestSupport
import Testing

/// What a pointer leads to is changed after it was checked, by another thread (LESSONS 1, 2 and 14).
@Suite(.serialized, .enabled(if: Tier.root, "needs root: network namespaces"), .timeLimit(.minutes(60)))
struct RaceTests {
  @Test func `an address that changes under the call never gets another port`() throws {
    try Scene.attack { scene in
      let came = try Assault.race { try scene.assault("bind", "80", "81", Assault.tries) }
      #expect(came["other"] == 0, "\(came)")
      #expect(try scene.twinLoses("continue", ["bind", "80", "81"]), "letting a checked call through was not beaten")
      #expect(try scene.twinLoses("twice", ["bind", "80", "81"]), "a second copy of the address was not beaten")
    }
  }

  @Test func `a path that changes under the call never opens another file`() throws {
    try Scene.attack { scene in
      try Assault.race { try scene.assault("open", scene.image, scene.other, Assault.tries) }
      #expect(try scene.twinLoses("continue", ["open", scene.image, scene.other]))
    }
  }

  @Test func `a path that changes while the descriptor table has room and has none opens no other file`() throws {
    try Scene.attack { scene in
      let came = try Assault.race { try scene.assault("full", scene.image, scene.other, Assault.tries) }
      #expect(came["other"] > 0, "\(came)")
      #expect(try scene.twinLoses("failopen", ["full", scene.image, scene.other]))
    }
  }

  @Test func `a symbolic link that changes never opens another file`() throws {
    try Scene.attack { scene in
      try Assault.race { try scene.assault("link", scene.folder + "/open", scene.image, scene.other, Assault.tries) }
      #expect(try scene.twinLoses("link", ["link", scene.folder + "/open", scene.image, scene.other]))
    }
  }

  @Test func `a number that comes to mean a socket of UDP never has that one bound`() throws {
    try Scene.attack { scene in
      try Assault.race { try scene.assault("swap", "udp", "80", Assault.tries) }
      #expect(try scene.twinLoses("unchecked", ["swap", "udp", "80"]))
    }
  }

  /// The attacker was given the socket: it has no privilege over that network namespace, nor a grant.
  @Test func `a number that comes to mean a socket of another network namespace never has that one bound`() throws {
    try Scene.attack { scene in
      let place = try NetworkNamespace()
      defer { place.remove() }
      let code = """
        import os, socket, sys
        made = socket.socket()
        os.dup2(made.fileno(), 3)
        os.set_inheritable(3, True)
        os.execv(sys.argv[1], sys.argv[1:])
        """
      let giving = [try Programs.path("launch")] + place.prefix + ["/usr/bin/python3", "-c", code]
      let attack = [try Programs.path("racer"), "swap", "given", "80", Assault.tries]
      try Assault.race { try Assault(try Command.run(giving + (try scene.runLine(attack, [])))) }
      #expect(try scene.twinLoses("unchecked", ["swap", "given", "80"], given: giving))
    }
  }
}

import Foundation
import Glibc
import TestSupport

/// A network namespace with nothing but `lo`, so that no port of it is anybody else's.
final class NetworkNamespace {
  let name: String
  var path: String { "/run/netns/" + name }

  init() throws {
    _ = Self.swept
    name = "postern-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try Command.demand(["/usr/bin/env", "ip", "netns", "add", name])
    try Command.demand(["/usr/bin/env", "ip", "-n", name, "link", "set", "lo", "up"])
  }

  /// What stands before a command line so that it runs there. It changes nothing but the network namespace, and the
  /// process becomes the program.
  var prefix: [String] { ["/usr/bin/nsenter", "--net=" + path, "--"] }

  /// Everything that runs there.
  var pids: [Int32] {
    let listed = try? Command.run(["/usr/bin/env", "ip", "netns", "pids", name])
    return (listed?.output ?? "").split(separator: "\n").compactMap { Int32($0) }
  }

  /// Ends everything in it, and it.
  func remove() {
    _ = eventually {
      let left = pids
      for pid in left { kill(pid, SIGKILL) }
      return left.isEmpty
    }
    _ = try? Command.run(["/usr/bin/env", "ip", "netns", "delete", name])
  }

  /// Those that a run of the tests left which was killed.
  private static let swept: Void = {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")) ?? [] {
      let parts = name.split(separator: "-")
      guard parts.count == 3, parts[0] == "postern", let owner = Int32(parts[1]), kill(owner, 0) != 0, errno == ESRCH
      else { continue }
      _ = try? Command.run(["/usr/bin/env", "ip", "netns", "delete", name])
    }
  }()
}

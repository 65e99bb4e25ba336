import Foundation
import Glibc

/// What a test needs of the machine. Where it is missing the test is skipped and says so; with
/// POSTERN_REQUIRE_ALL_TIERS set it runs, and fails.
public enum Tier {
  public static let isRequired = ProcessInfo.processInfo.environment["POSTERN_REQUIRE_ALL_TIERS"] != nil
  /// To act as several users, and to be told of forks by the kernel.
  public static let root = isRequired || geteuid() == 0
  /// To make a user and a pid namespace as an ordinary user.
  public static let namespaces =
    isRequired
    || (try? Command.run(Account.application.prefix + ["/usr/bin/unshare", "-U", "-p", "-f", "/bin/true"]).status) == 0
  /// To run these programs; packaging/needs knows their packages.
  public static func has(_ programs: String...) -> Bool {
    isRequired
      || programs.allSatisfy { name in
        ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"].contains {
          FileManager.default.isExecutableFile(atPath: $0 + name)
        }
      }
  }
  /// To act on the whole scale that is claimed, which takes minutes.
  public static let isSoak = ProcessInfo.processInfo.environment["POSTERN_SOAK"] != nil
}

public struct HarnessFailure: Error, CustomStringConvertible {
  public var description: String

  public init(description: String) { self.description = description }
}

/// A user that programs run as.
public enum Account: Sendable {
  /// Whoever runs the tests.
  case own
  case nobody

  /// What the applications of the tests run as: another user than the broker's where that is possible.
  public static var application: Account { geteuid() == 0 ? .nobody : .own }

  /// What stands before a command line so that it runs as this user.
  public var prefix: [String] {
    switch self {
    case .own: []
    case .nobody: ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
    }
  }

  public var name: String {
    switch self {
    case .own: NSUserName()
    case .nobody: "nobody"
    }
  }

  /// Makes a file or folder this user's.
  public func own(_ path: String) throws {
    guard case .nobody = self else { return }
    try FileManager.default.setAttributes(
      [.ownerAccountID: 65534, .groupOwnerAccountID: 65534], ofItemAtPath: path)
  }
}

/// A seed that a failure prints, and that POSTERN_TEST_SEED repeats.
public func testSeed() -> UInt64 {
  ProcessInfo.processInfo.environment["POSTERN_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
}

/// Waits until `condition` holds, so many seconds at most.
public func eventually(within seconds: Double = 10, _ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = Date(timeIntervalSinceNow: seconds)
  while Date() < deadline {
    if try condition() { return true }
    usleep(5000)
  }
  return false
}

import Foundation
import Glibc
import Linux
import TestSupport

extension Tier {
  /// To make loop devices, and to take rings of other users.
  static let rings = root
}

/// Policies whose objects go into rings.
enum RingPolicies {
  static func image(object: String = "", grant: String = "", operations: String = "read") -> String {
    """
    version: 1
    objects:
      image: { kind: disk, path: $IMAGE\(object) }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: image, operations: [\(operations)], path: ring\(grant) }

    """
  }

  /// A socket for each ring.
  static func udp(grant: String = "", operations: String = "receive") -> String {
    """
    version: 1
    objects:
      dns: { kind: socket, listen: "udp://$ADDRESS:7777", send-to: ["0.0.0.0/0"] }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: dns, operations: [\(operations)], path: ring\(grant) }

    """
  }

  /// A socket that may send to one place only.
  static let connected = """
    version: 1
    objects:
      dns: { kind: socket, listen: "udp://$ADDRESS:7777", send-to: ["$ADDRESS:7779"] }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: dns, operations: [send, receive], path: ring }

    """

  /// One socket for all.
  static func listener(grant: String = "") -> String {
    """
    version: 1
    objects:
      web: { kind: socket, listen: "tcp://$ADDRESS:7778" }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: web, operations: [listen, accept], path: ring\(grant) }

    """
  }

  /// For a program of the broker's own user, which may revoke.
  static let own = """
    version: 1
    objects:
      image: { kind: disk, path: $IMAGE }
      dns: { kind: socket, listen: "udp://$ADDRESS:7777" }
      web: { kind: socket, listen: "tcp://$ADDRESS:7778" }
    applications:
      app: { user: root }
    grants:
      - { application: app, object: image, operations: [read], path: ring }
      - { application: app, object: dns, operations: [receive], path: ring }
      - { application: app, object: web, operations: [listen, accept], path: ring }

    """

  /// Everything that a ring can hold, for a crowd of the applications' user.
  static let crowd = """
    version: 1
    limits: { connections-per-user: 4096, requests-per-user: 4096, objects-per-user: 4096 }
    objects:
      image: { kind: disk, path: $IMAGE, access: read-write }
      dns: { kind: socket, listen: "udp://$ADDRESS:7777" }
      web: { kind: socket, listen: "tcp://$ADDRESS:7778" }
      local: { kind: socket, listen: "unix://$FOLDER/open/local" }
    applications:
      app: { user: $USER, processes: 4096 }
    grants:
      - { application: app, object: image, operations: [read, write], path: ring }
      - { application: app, object: dns, operations: [receive], path: ring }
      - { application: app, object: web, operations: [listen, accept], path: ring }
      - { application: app, object: local, operations: [listen, accept], path: ring }

    """
}

extension Scene {
  /// One datagram to the scene's own address.
  func sendDatagram(_ text: String, port: Int = 7777) throws {
    try Command.demand(["/bin/bash", "-c", "printf %s '\(text)' >/dev/udp/\(address)/\(port)"])
  }

  /// How many loop devices have the scene's image.
  func loopDevices() throws -> Int {
    try Command.demand(["/sbin/losetup", "--list", "--noheadings", "--output", "BACK-FILE"]).split(separator: "\n")
      .count { $0.hasPrefix(image) }
  }

  /// Looks at the broker's own association table while it is stopped.
  func table<Value>(_ body: (borrowing EntityTable) -> Value) throws -> Value {
    let descriptors = "/proc/\(brokerPID)/fd/"
    let number = try FileManager.default.contentsOfDirectory(atPath: descriptors).first { number in
      let target = try? FileManager.default.destinationOfSymbolicLink(atPath: descriptors + number)
      return target?.hasPrefix("/memfd:postern-associations") ?? false
    }
    guard let number else { throw HarnessFailure(description: "the broker has no table") }
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: descriptors + number))
    var result: Value?
    try whileStopped { result = body(try EntityTable(attaching: Descriptor(adopting: dup(file.fileDescriptor)))) }
    guard let result else { throw HarnessFailure(description: "the broker was not stopped") }
    return result
  }

  /// Has `process` send an enrolment, and calls `body` when a hand has prepared its ring, which the stopped broker has not heard yet:
  /// that the order is on its way shows in the broker's descriptors, the hand's answer is waited for by time.
  func whilePrepared(_ process: Dialogue, _ line: String, _ body: () throws -> Void) throws {
    let (forker, hands) = try ringHolders()
    let before = descriptorCount
    kill(forker, SIGSTOP)
    try process.tell(line)
    // The asker, pinned; the object; the hand's socket.
    _ = eventually(within: 1) { descriptorCount >= before + 4 }
    usleep(100_000)
    signal(SIGSTOP)
    defer { signal(SIGCONT) }
    kill(forker, SIGCONT)
    _ = try eventually(within: 1) { try ringHolders().hands.count > hands.count }
    usleep(300_000)
    try body()
  }

  /// The processes that hold rings for this scene's broker: the one that forks, and its hands with their children.
  func ringHolders() throws -> (forker: Int32, hands: [Int32]) {
    func text(_ pid: Int32, _ name: String) -> String {
      (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/\(name)"))).map { String(decoding: $0, as: UTF8.self) }
        ?? ""
    }
    let all = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }.filter { pid in
      text(pid, "comm").hasPrefix("postern-rings") && text(pid, "environ").contains("POSTERN_TEST_FOLDER=\(folder)")
    }
    guard let forker = all.first(where: { pid in Scene.parent(of: pid).map { !all.contains($0) } ?? false }) else {
      throw HarnessFailure(description: "nobody holds rings")
    }
    return (forker, all.filter { $0 != forker })
  }

  static func parent(of pid: Int32) -> Int32? {
    let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    return stat?.split(separator: " ").dropFirst(3).first.flatMap { Int32($0) }
  }
}

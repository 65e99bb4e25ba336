import Foundation
import TestSupport
import Testing

/// Loop devices over image files of 1 MiB, each beginning with "disk" and its number, which only root may open.
final class LoopDisks {
  let folder: String
  private(set) var paths: [String] = []
  var images: [String] { paths.indices.map { "\(folder)/image\($0)" } }

  init(_ count: Int) throws {
    folder = FileManager.default.temporaryDirectory.path + "/postern-disks-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(
      atPath: folder + "/by-id", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    for number in 0..<count {
      let image = "\(folder)/image\(number)"
      var content = Data("disk \(number)\n".utf8)
      content.append(Data(count: (1 << 20) - content.count))
      try content.write(to: URL(fileURLWithPath: image))
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: image)
      let attached = try Command.demand(["/usr/bin/env", "losetup", "--find", "--show", image])
      paths.append(attached.trimmingCharacters(in: .whitespacesAndNewlines))
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/by-id/disk-\(number)", withDestinationPath: "../../.." + paths[number])
    }
  }

  func remove() {
    for path in paths {
      let detached = try? Command.run(["/usr/bin/env", "losetup", "--detach", path])
      if detached?.status != 0 { Issue.record("\(path) stays attached: \(detached?.errors ?? "")") }
    }
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Another node of the same device.
  func addNode(_ number: Int, at path: String) throws {
    try Command.demand(["/usr/bin/env", "cp", "--archive", paths[number], path])
  }
}

/// An object, and what its application may do with it.
struct GrantedObject {
  var name: String
  var definition: String
  var operations: String

  init(_ name: String, _ definition: String, _ operations: String) {
    (self.name, self.definition, self.operations) = (name, definition, operations)
  }

  static func disk(_ name: String, _ path: String) -> GrantedObject {
    GrantedObject(name, "kind: disk, path: \(path)", "read")
  }

  static func writableDisk(_ name: String, _ path: String) -> GrantedObject {
    GrantedObject(name, "kind: disk, path: \(path), access: read-write", "read, write")
  }

  static func listener(_ name: String, _ endpoint: String) -> GrantedObject {
    GrantedObject(name, "kind: socket, listen: \"\(endpoint)\", network: $NETWORK", "bind, listen, accept")
  }

  static func socket(_ name: String, _ endpoint: String, _ operations: String, _ more: String = "") -> GrantedObject {
    GrantedObject(name, "kind: socket, listen: \"\(endpoint)\", network: $NETWORK\(more)", operations)
  }
}

extension Policies {
  /// All of them handed over to the programs' user. `application` goes on in its entry.
  static func granting(_ objects: [GrantedObject], application: String = "") -> String {
    var text = "version: 1\nobjects:\n"
    for object in objects { text += "  \(object.name): { \(object.definition) }\n" }
    text += "applications:\n  app: { user: $USER\(application) }\ngrants:\n"
    for object in objects {
      text += "  - { application: app, object: \(object.name), operations: [\(object.operations)], handover: true }\n"
    }
    return text
  }
}

extension Scene {
  /// A scene with loop devices, which `policy` is told.
  static func run(
    disks count: Int, _ policy: (LoopDisks) -> String, _ body: (Scene, LoopDisks) throws -> Void
  ) throws {
    let disks = try LoopDisks(count)
    defer { disks.remove() }
    try run(policy(disks)) { scene in try body(scene, disks) }
  }

  /// Runs a script of bash as the ordinary user, not itself by `postern run`. In it `$RUN` is `postern run --`, `$POSTERN`
  /// is `postern`, both unquoted, and `$W` a folder that it may write to. Ends after `limit` seconds at most, with 124.
  func shell(_ script: String, limit: Int = 60) throws -> Command.Result {
    let postern = "\(try Programs.path("postern")) --socket \(broker.socket)"
    return try plainly(
      "timeout", "--kill-after=5", "\(limit)", "env", "POSTERN=\(postern)", "RUN=\(postern) run --",
      "W=\(folder)/open", "bash", "-c", script)
  }

  /// Runs a script of bash as root in the same network namespace, without Postern.
  @discardableResult
  func rootShell(_ script: String) throws -> Command.Result {
    try Command.run(
      network.prefix + [
        "/usr/bin/env", "POSTERN=\(try Programs.path("postern")) --socket \(broker.socket)", "W=\(folder)/open", "bash",
        "-c", script,
      ])
  }

  /// The records of refusals with this object.
  func refusals(of object: String) throws -> [JournalRecord] {
    try broker.journal().filter { $0.kind == "refusal" && $0.object == object }
  }

  /// Waits until nothing runs in the namespace any more.
  func isEmpty() -> Bool { eventually { network.pids.isEmpty } }
}

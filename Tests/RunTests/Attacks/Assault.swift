import Foundation
import TestSupport
import Testing

/// What the attacking programs say they came to (Programs/Run/racer.c).
struct Assault: CustomStringConvertible {
  let description: String
  private let numbers: [Substring: Int]

  init(_ result: Command.Result) throws {
    description = "\(result.status): \(result.output)\(result.errors)"
    var numbers: [Substring: Int] = [:]
    for word in result.output.split(whereSeparator: \.isWhitespace) {
      let pair = word.split(separator: "=")
      if pair.count == 2 { numbers[pair[0]] = Int(pair[1]) }
    }
    self.numbers = numbers
    guard result.status == 0, numbers["tries"] != nil else { throw HarnessFailure(description: description) }
  }

  subscript(_ name: String) -> Int { numbers[name[...]] ?? -1 }

  /// A million tries in the long run, else a hundredth.
  static var tries: String { Tier.isSoak ? "1000000" : "10000" }
  /// The attack, which never wins; again where only one side of the race was seen, since a busy machine can keep the two threads apart
  /// for as long as it lasts.
  @discardableResult
  static func race(_ attack: () throws -> Assault) throws -> Assault {
    var came = try attack()
    for _ in 0..<9 where came["granted"] <= 0 || came["refused"] <= 0 {
      #expect(came["gained"] == 0, "\(came)")
      came = try attack()
    }
    #expect(came["gained"] == 0, "\(came)")
    #expect(came["granted"] > 0 && came["refused"] > 0, "it was no race: \(came)")
    return came
  }

  /// Enough for the twin to lose; it tries again until it does.
  static let twinTries = "20000"
}

extension Policies {
  /// Port 80 and the right to read `$FOLDER/store/imageA`; nothing of port 81 and of imageB beside it.
  static func portAndImage(_ more: String = "", object: String = "", operations: String = "read") -> String {
    """
    version: 1
    objects:
      web: { kind: socket, listen: "tcp://0.0.0.0:80", network: $NETWORK }
      image: { kind: disk, path: $FOLDER/store/imageA\(object) }
    applications:
      app: { user: $USER\(more) }
    grants:
      - { application: app, object: web, operations: [bind, listen, accept], handover: true, audit: refusals }
      - { application: app, object: image, operations: [\(operations)], handover: true, audit: refusals }

    """
  }
}

extension Scene {
  var image: String { folder + "/store/imageA" }
  var other: String { folder + "/store/imageB" }

  /// Two files that only root may open.
  func makeImages() throws {
    try FileManager.default.createDirectory(atPath: folder + "/store", withIntermediateDirectories: false)
    for path in [image, other] {
      try Data(repeating: 65, count: 1 << 16).write(to: URL(fileURLWithPath: path))
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }
  }

  /// A scene with both images.
  static func attack(_ policy: String = Policies.portAndImage(), _ body: (Scene) throws -> Void) throws {
    try run(policy, prepare: { try $0.makeImages() }, body)
  }

  /// Runs a program by `postern run` to its end.
  func runToEnd(_ command: [String]) throws -> Command.Result {
    try Command.run([try Programs.path("launch")] + runLine(command, []))
  }

  /// Starts an attacking program by `postern run`, to be talked to.
  func attacker(_ name: String, _ arguments: String?...) throws -> Dialogue {
    let dialogue = try Dialogue(runLine([try Programs.path(name)] + arguments.compactMap(\.self), []))
    dialogues.append(dialogue)
    return dialogue
  }

  /// Runs the attack by `postern run`.
  func assault(_ arguments: String...) throws -> Assault {
    try Assault(runToEnd([try Programs.path("racer")] + arguments))
  }

  /// Runs the attack under the supervisor with a mistake, in the same network namespace.
  func twin(_ mistake: String, _ arguments: String...) throws -> Command.Result {
    try Command.run(
      [try Programs.path("launch")] + network.prefix + [
        try Programs.path("naive"), mistake, "80", image, try Programs.path("racer"),
      ] + arguments)
  }

  /// Whether the attack wins against the twin within a few tries.
  ///
  /// - Parameter giving: what the command is started by, so that it has something given.
  func twinLoses(_ mistake: String, _ arguments: [String], given giving: [String]? = nil) throws -> Bool {
    for _ in 0..<10 {
      let result = try Command.run(
        (try giving ?? [Programs.path("launch")]) + network.prefix + [
          try Programs.path("naive"), mistake, "80", image, try Programs.path("racer"),
        ] + arguments + [Assault.twinTries])
      if try Assault(result)["gained"] > 0 { return true }
    }
    return false
  }
}

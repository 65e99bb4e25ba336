import Foundation
import TestSupport
import Testing

/// What `postern audit why` and `suggest` say, as JSON.
struct Retold: Decodable {
  struct Rule: Decodable {
    var application: String?
    var cause: String?
    var mismatch: String?
  }

  var who: [String]
  var what: [String]
  var why: [String]
  var path: [String]
  var before: [String]
  var now: [String]?
  var rule: Rule
  var replayed: String?
  var beforeSequences: [UInt64]
}

struct Suggested: Decodable {
  struct One: Decodable {
    var sequence: UInt64
    var changes: [String]
    var reaches: [String]
    var warnings: [String]
    var notes: [String]
    var commands: [String]
  }

  var suggestions: [One]
  var diff: String
}

extension Scene {
  /// The last refusal of a process.
  func refusal(of pid: Int32) throws -> JournalRecord {
    let isThere = try eventually { try journal(of: "\(pid)").contains { $0.kind == "refusal" } }
    #expect(isThere)
    return try #require(try journal(of: "\(pid)").last { $0.kind == "refusal" })
  }

  /// The last refusal with a reason.
  func refusal(_ reason: String) throws -> JournalRecord {
    let isThere = try eventually { try journal().contains { $0.reason == reason && $0.kind == "refusal" } }
    #expect(isThere)
    return try #require(try journal().last { $0.reason == reason && $0.kind == "refusal" })
  }

  func why(_ record: JournalRecord, as user: Account? = nil) throws -> Retold {
    let result = try postern("audit", "why", "\(record.sequence)", "--format", "json", as: user)
    try #require(result.status == 0, "\(result.errors)")
    return try JSONDecoder().decode(Retold.self, from: Data(result.output.utf8))
  }

  func suggest(_ records: JournalRecord...) throws -> Suggested {
    let result = try Command.run(
      brokerUser.prefix + [try Programs.path("postern"), "--socket", socket, "audit", "suggest", "--format", "json"]
        + records.map { "\($0.sequence)" })
    try #require(result.status == 0, "\(result.errors)")
    return try JSONDecoder().decode(Suggested.self, from: Data(result.output.utf8))
  }

  /// Applies a diff with patch(1), as whoever keeps the policy would, and reloads.
  func apply(_ diff: String) throws {
    try write("diff", diff)
    try Command.demand(["/usr/bin/patch", "--quiet", policyPath, folder + "/diff"])
    let reloaded = try postern("reload")
    #expect(reloaded.status == 0, "\(reloaded.errors)")
  }

  /// Runs a `postern` command as the applications' user with something on its input.
  func tool(_ arguments: String..., input: String = "", as user: Account? = nil) throws -> Command.Result {
    try write("input", input)
    let line = "exec \"$0\" \"$@\" < '\(folder)/input'"
    return try Command.run(
      (user ?? applicationUser).prefix + ["/bin/sh", "-c", line, try Programs.path("postern"), "--socket", socket]
        + arguments)
  }
}

import Foundation

/// One record of `postern audit list --format json`.
struct JournalRecord: Decodable {
  var sequence: UInt64
  var kind: String
  var reason: String?
  var detail: String?
  var cause: String?
  var errno: String?
  var object: String?
  var application: String?
  var pid: Int32?
  var uid: UInt32?
  var message: String?
}

extension Scene {
  /// Every record of the journal, oldest first.
  func journal() throws -> [JournalRecord] {
    let listed = try postern("audit", "list", "--format", "json")
    guard listed.status == 0 else { throw HarnessFailure(description: listed.errors) }
    return try listed.output.split(separator: "\n").map {
      try JSONDecoder().decode(JournalRecord.self, from: Data($0.utf8))
    }
  }

  /// The records about one process.
  func journal(of pid: String) throws -> [JournalRecord] { try journal().filter { $0.pid == Int32(pid) } }

  /// One row of `postern association list --format json`.
  struct Association: Decodable {
    var id: UInt64
    var object: String
    var application: String
    var pid: Int32
    var state: String
  }

  func associations() throws -> [Association] {
    let listed = try postern("association", "list", "--format", "json")
    guard listed.status == 0 else { throw HarnessFailure(description: listed.errors) }
    return try JSONDecoder().decode([Association].self, from: Data(listed.output.utf8))
  }
}

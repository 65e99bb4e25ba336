import Foundation

/// One record of `postern audit list --format json`.
public struct JournalRecord: Decodable, Sendable {
  public var sequence: UInt64
  public var kind: String
  public var reason: String?
  public var detail: String?
  public var cause: String?
  public var errno: String?
  public var object: String?
  public var application: String?
  public var operation: String?
  public var path: String?
  public var pid: Int32?
  public var uid: UInt32?
  public var message: String?
  public var runtimeGrant: UInt64?
  public var expires: String?
}

/// One row of `postern association list --format json`.
public struct AssociationRow: Decodable, Sendable {
  public var id: UInt64
  public var object: String
  public var application: String
  public var pid: Int32
  public var path: String
  public var state: String
}

extension RunningBroker {
  /// Every record of the journal, oldest first.
  public func journal() throws -> [JournalRecord] {
    try Command.demand(line("audit", "list", "--format", "json")).split(separator: "\n").map {
      try JSONDecoder().decode(JournalRecord.self, from: Data($0.utf8))
    }
  }

  public func associations() throws -> [AssociationRow] {
    let listed = try Command.demand(line("association", "list", "--format", "json"))
    return try JSONDecoder().decode([AssociationRow].self, from: Data(listed.utf8))
  }
}

import Instructions

/// What the table says of one instruction.
public struct EntityAnswer: Sendable, Hashable {
  /// nil: granted.
  public var reason: Reason?
  /// The record that decided, also of a refusal.
  public var association: AssociationID?
  public var generation: UInt32
  /// Of a grant: boottime ns, 0: never.
  public var expiry: UInt64
  public var range: EntityRange?
}

public struct EntityRange: Sendable, Hashable {
  public var offset: UInt64
  public var length: UInt64
}

public struct EntityStatistics: Sendable, Hashable {
  public var live: Int
  public var tombstones: Int
  public var processes: Int
  public var limits: Int
  public var capacity: Int
  /// Memory in use by records, links and indexes.
  public var bytes: UInt64
  /// Grows whenever a positive verdict given before may no longer stand.
  public var changes: UInt64
}

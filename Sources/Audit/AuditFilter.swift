import Instructions

/// Which records are wanted: every condition that is given must hold; a record without the field does not match.
public struct AuditFilter: Sendable, Hashable {
  public var kind: AuditKind?
  public var reason: Reason?
  public var object: ByteString?
  public var application: ByteString?
  public var pid: UInt32?
  public var uid: UInt32?
  /// Wall nanoseconds, inclusive.
  public var since: UInt64?
  /// Wall nanoseconds, exclusive.
  public var until: UInt64?

  public init(
    kind: AuditKind? = nil, reason: Reason? = nil, object: ByteString? = nil, application: ByteString? = nil,
    pid: UInt32? = nil, uid: UInt32? = nil, since: UInt64? = nil, until: UInt64? = nil
  ) {
    self.kind = kind
    self.reason = reason
    self.object = object
    self.application = application
    self.pid = pid
    self.uid = uid
    self.since = since
    self.until = until
  }

  public func matches(_ record: AuditRecord) -> Bool {
    if let kind, record.kind != kind { return false }
    if let reason, record.reason != reason { return false }
    if let object, record.object != object { return false }
    if let application, record.application != application { return false }
    if let pid, record.pid != pid { return false }
    if let uid, record.uid != uid { return false }
    if let since, record.time.wall < since { return false }
    if let until, record.time.wall >= until { return false }
    return true
  }
}

import Audit
import Instructions

/// What a journal says of the time before one record: fed with the records before it, oldest first.
public struct History: Sendable {
  /// The most that is kept of the process's own records.
  public static let kept = 12

  public let record: AuditRecord
  /// Of the same process resource, the newest, oldest first.
  public private(set) var own: [AuditRecord] = []
  /// How many there were of it.
  public private(set) var ownCount = 0
  /// Its association with the object: made, and ended.
  public private(set) var granted: AuditRecord?
  public private(set) var ended: AuditRecord?
  /// The last order that took the object or the process's association away.
  public private(set) var revoke: AuditRecord?
  public private(set) var reload: AuditRecord?
  /// Who else held the object when the record was written.
  public var holders: [AuditRecord] { holding.values.sorted { $0.sequence < $1.sequence } }
  private var holding: [AssociationID: AuditRecord] = [:]

  public init(of record: AuditRecord) { self.record = record }

  public mutating func take(_ earlier: AuditRecord) {
    guard earlier.sequence < record.sequence else { return }
    let isSameObject = record.object != nil && earlier.object == record.object
    if isOwn(earlier) {
      own.append(earlier)
      ownCount += 1
      if own.count > Self.kept { own.removeFirst() }
    }
    switch earlier.kind {
    case .grant, .revalidate:
      guard isSameObject, let association = earlier.association else { return }
      holding[association] = earlier
      if isOwn(earlier) {
        granted = earlier
        ended = nil
      }
    case .drop, .revoke:
      if let association = earlier.association { holding[association] = nil }
      if isSameObject, isOwn(earlier) { ended = earlier }
      if earlier.kind == .revoke, isSameObject { revoke = earlier }
    case .reload: if earlier.errno == nil { reload = earlier }
    // What the broker before this one had given out on the mediated path ended with it.
    case .start: holding = [:]
    default: break
    }
  }

  /// Of the process that the record is about; a number alone is nobody.
  private func isOwn(_ other: AuditRecord) -> Bool {
    guard let pid = record.pid, other.pid == pid, other.boot == record.boot else { return false }
    guard let start = record.processStart, let theirs = other.processStart, start != 0, theirs != 0 else { return true }
    return start == theirs
  }
}

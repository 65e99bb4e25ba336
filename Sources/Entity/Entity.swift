import Authority
import Instructions
import Linux

/// The holder of all associations and of the one decision function.
///
/// Thread-safe. Times are boottime nanoseconds and always the caller's; an entity has no clock. Whatever cannot be
/// decided is denied. Tombstones and evidence stay until `exit`.
public protocol AuthorizationEntity: Sendable {
  /// Makes an object known; returns its generation. Errors: EEXIST, EINVAL.
  ///
  /// - Parameter generation: to begin with, where the object was known before this entity; 0: the entity's choice.
  func addObject(_ object: ObjectRecord, generation: UInt32) throws(SystemError) -> UInt32
  /// Next generation: every association of the object becomes `stale`; those that were live are returned.
  func replaceObject(_ object: ObjectRecord) throws(SystemError) -> [AssociationRecord]
  /// `no-such-object` from now on; the associations that were live are returned.
  func removeObject(_ object: ObjectID) throws(SystemError) -> [AssociationRecord]
  /// nil: there is no such object.
  func object(_ object: ObjectID) -> ObjectRecord?
  /// nil: there is no such object.
  func generation(of object: ObjectID) -> UInt32?

  /// A limit set that associations can share; held until `release`, and after that as long as associations name it.
  func define(limits: LimitSet) throws(SystemError) -> LimitsID
  func release(_ limits: LimitsID)

  /// The check. A grant is proof for this one instruction.
  func check(_ instruction: Instruction, issuer: Issuer, now: UInt64) -> Verdict
  /// The same, and which association decided, also of a refusal. `visible` false: the asker may not know of the object.
  func check(_ instruction: Instruction, issuer: Issuer, now: UInt64, visible: Bool) -> Decision

  /// An open: one association for the asker, as the policy's grant says.
  func associate(_ request: AssociationRequest, now: UInt64) throws(Refusal) -> AssociationRecord
  /// The fork protocol: an association for the asker alone, derived from a holder that it descends from.
  func revalidate(_ request: RevalidationRequest, now: UInt64) throws(Refusal) -> AssociationRecord

  /// Ends what the selector names; `state` is what their processes are told. Returns those that were live.
  func drop(_ selector: AssociationSelector, as state: TombstoneState) -> [AssociationRecord]
  /// `revoked` tombstones become `dropped`: after `grant` or `reload` their processes may open again.
  func pardon(_ selector: AssociationSelector)
  /// Everything past its expiry becomes `expired`; also when to call this again, nil: never.
  func expire(now: UInt64) -> (dropped: [AssociationRecord], next: UInt64?)

  /// The process has ended. `keepEvidence`: its records stay as proof of descent until `exit` without it.
  func exit(_ process: ProcessResource, keepEvidence: Bool) -> [AssociationRecord]
  /// The process has a new program image. Only `keep` (whose grants say on-exec: keep) goes on under the new epoch.
  func exec(_ process: ProcessResource, newEpoch: UInt32, keep: [AssociationID], keepEvidence: Bool)
    -> [AssociationRecord]

  /// Up to `limit` associations after `cursor` (nil: from the beginning), and where to go on (nil: the end).
  func associations(_ selector: AssociationSelector, after cursor: AssociationCursor?, limit: Int)
    -> (records: [AssociationRecord], next: AssociationCursor?)
  /// The record of this object and process, in whatever state.
  func record(for object: ObjectID, process: ProcessResource) -> AssociationRecord?
  func count(of application: ApplicationID) -> ApplicationCount
  func statistics() -> EntityStatistics
  /// Grows whenever a positive verdict given before may no longer stand. Never waits: for verdict caches.
  var changes: UInt64 { get }
}

extension AuthorizationEntity {
  public func addObject(_ object: ObjectRecord) throws(SystemError) -> UInt32 {
    try addObject(object, generation: 0)
  }

  public func check(_ instruction: Instruction, issuer: Issuer, now: UInt64) -> Verdict {
    check(instruction, issuer: issuer, now: now, visible: true).verdict()
  }
}

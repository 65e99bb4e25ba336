import Instructions
import Objects

/// One opened object and the channels whose instructions it performs: one per open, or shared (tcp and unix listeners).
///
/// Confined to the thread that checks.
public final class Session {
  public let id: UInt64
  public let objectID: ObjectID
  public let object: any OpenObject
  /// Channels that wait for readiness, in the order in which they began to.
  public var waiting: [UInt64] = []
  /// Live associations and evidence of departed ones that use this; with the last one it is closed.
  public var users: Set<AssociationID> = []
  /// Once the object has been recalled nothing is performed on it any more.
  public var isRecalled = false

  public init(id: UInt64, objectID: ObjectID, object: any OpenObject) {
    self.id = id
    self.objectID = objectID
    self.object = object
  }
}

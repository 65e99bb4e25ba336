import Authority
import Glibc
import Instructions
import Objects

/// One opened object and the channels whose instructions it performs: one per open, or shared (tcp and unix listeners).
///
/// Confined to the thread that checks.
public final class Session {
  public let id: UInt64
  public let objectID: ObjectID
  public private(set) var object: any OpenObject
  /// Channels that wait for readiness, in the order in which they began to.
  public var waiting: [UInt64] = []
  /// Live associations and evidence of departed ones that use this; with the last one it is closed.
  public var users: Set<AssociationID> = []
  /// The kernel knows its socket as a privileged object: its users have it open themselves (path direct).
  public var isTagged = false
  /// Its socket is in somebody's ring: it blocks, and the broker must not wait on it.
  public var isInRing = false
  /// The only place that its socket sends to and receives from (path ring); nil: it is not connected by the broker.
  public var connectedTo: NetworkAddress?
  /// Once the object has been recalled nothing is performed on it any more.
  public private(set) var isRecalled = false

  public init(id: UInt64, objectID: ObjectID, object: any OpenObject) {
    self.id = id
    self.objectID = objectID
    self.object = object
  }
  /// Nothing starts on the object any more, and it is let go of: what it holds (lines, a port, a tty's settings) is free
  /// when the last effect that runs has ended, and not only when a program that was revoked closes its channel.
  public func retire() {
    isRecalled = true
    object.recall()
    object = ClosedObject()
  }
}

/// What a session has whose object was let go of.
private final class ClosedObject: OpenObject {
  var readiness: Int32? { nil }
  var footprint: Footprint? { nil }

  func perform(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    .failed(errno: ESHUTDOWN)
  }

  func performBlocking(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    .failed(errno: ESHUTDOWN)
  }
}

import Authority
import Entity
import Instructions
import Linux
import Objects
import Wire

/// The broker's end of one object channel, with what waits on it. Confined to the thread that checks.
public final class ObjectChannel {
  /// An instruction that waits for readiness; it is checked again before it is performed.
  public struct Parked {
    public var frame: InstructionFrame
    public var payload: [UInt8]
    public var readiness: Objects.Readiness
    public var process: ProcessResource
  }

  /// A datagram that the application has not made room for yet.
  final class Outgoing {
    let head: [UInt8]
    let tail: [UInt8]
    let descriptor: Descriptor?

    init(head: [UInt8], tail: [UInt8], descriptor: consuming Descriptor?) {
      self.head = head
      self.tail = tail
      self.descriptor = descriptor
    }
  }

  public let id: UInt64
  public let socket: Descriptor
  public let session: Session
  /// Whose association this channel was opened or adopted for; the association decides, not the channel.
  public var association: AssociationID?
  public var holder: ProcessResource?
  /// What an adopter descends from.
  public var ancestor: AssociationID?
  public var ownerUID: UInt32
  public var applicationName: String
  public var objectName: String
  public var auditDetail: AuditDetail = .refusals
  var wasUsed = false
  public var parked: [Parked] = []
  /// Instructions on pool threads, by token, with their cookies.
  public var running: [UInt64: UInt64] = [:]
  var armed: Wire.Readiness = []
  var verdicts = VerdictCache()
  var outgoing: [Outgoing] = []

  /// Parked and running instructions.
  public var outstanding: Int { parked.count + running.count }
  /// While the application does not read its replies nothing more is taken from it.
  public var isCongested: Bool { !outgoing.isEmpty }

  public init(
    id: UInt64, socket: consuming Descriptor, session: Session, ownerUID: UInt32, applicationName: String,
    objectName: String
  ) {
    self.id = id
    self.socket = socket
    self.session = session
    self.ownerUID = ownerUID
    self.applicationName = applicationName
    self.objectName = objectName
  }
}

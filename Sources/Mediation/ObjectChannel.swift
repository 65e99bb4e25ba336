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
    var size: Int { head.count + tail.count }

    init(head: [UInt8], tail: [UInt8], descriptor: consuming Descriptor?) {
      self.head = head
      self.tail = tail
      self.descriptor = descriptor
    }
  }

  public let id: UInt64
  public let socket: PeerDescriptor
  public let session: Session
  /// SO_COOKIE of the application's end.
  public var clientCookie: UInt64 = 0
  /// Whose association this channel was opened or adopted for; the association decides, not the channel.
  public var association: AssociationID?
  public var holder: ProcessResource?
  /// Whom a process that presents this channel says it descends from; the holder itself, or for an adopted channel the
  /// holder of the one that was presented.
  public var lineageHolder: ProcessResource?
  public var ownerUID: UInt32
  /// The forked process that got this channel for one it inherited; nil: it was made by an open, for its holder.
  public var adopter: ProcessResource?
  public var applicationName: String
  public var objectName: String
  public var auditDetail: AuditDetail = .refusals
  /// The quota of the association's application; nil: none.
  public var requestsPerSecond: UInt32?
  var wasUsed = false
  public var parked: [Parked] = []
  /// Instructions on pool threads, by token, with their cookies.
  public var running: [UInt64: UInt64] = [:]
  var armed: Wire.Readiness = []
  var verdicts = VerdictCache()
  var outgoing: [Outgoing] = []

  /// Parked and running instructions.
  public var outstanding: Int { parked.count + running.count }
  /// What its parked instructions and its armed notification wait for.
  public var awaited: PollEvents {
    var events: PollEvents = []
    for item in parked { events.insert(item.readiness == .readable ? .readable : .writable) }
    if armed.contains(.input) { events.insert(.readable) }
    if armed.contains(.output) { events.insert(.writable) }
    return events
  }

  /// How often a verdict was reused, and how often not.
  public var fastPath: (hits: UInt64, misses: UInt64) { (verdicts.hits, verdicts.misses) }

  /// Bytes of replies that wait for the application to read.
  public var queuedBytes: Int { outgoing.reduce(0) { $0 + $1.size } }

  /// While the application does not read its replies nothing more is taken from it.
  public var isCongested: Bool { !outgoing.isEmpty }

  public init(
    id: UInt64, socket: consuming Descriptor, session: Session, ownerUID: UInt32, applicationName: String,
    objectName: String
  ) {
    self.id = id
    self.socket = PeerDescriptor(socket)
    self.session = session
    self.ownerUID = ownerUID
    self.applicationName = applicationName
    self.objectName = objectName
  }
}

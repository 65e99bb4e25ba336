import Audit
import Authority
import Instructions
import Linux
import Wire

/// One client's control connection. Confined to the broker's thread.
final class ControlConnection {
  /// What the first of the two open messages established; the second must come from the same, unchanged process.
  final class Pending {
    enum Purpose {
      case open(Open, Authorization)
      case revalidation(channel: UInt64)
      /// The file that the asker's exec is going to run.
      case handOver(HandOver, Authorization, program: FileIdentity)
      case objectRevalidation(ObjectID)
      /// The asker's ring.
      case enrolment(RingPurpose)
    }

    let purpose: Purpose
    let pid: Int32
    private var pin: ProcessPin?
    let subject: Subject
    let executablePath: String
    let nonce: Nonce
    /// Boottime nanoseconds; later the nonce is worth nothing.
    let deadline: UInt64

    init(purpose: Purpose, asker: consuming PinnedAsker, nonce: Nonce, deadline: UInt64) {
      self.purpose = purpose
      pid = asker.pin.pid
      subject = asker.subject
      executablePath = asker.executablePath
      pin = asker.takePin()
      self.nonce = nonce
      self.deadline = deadline
    }

    /// The same process goes on: a further message of it is waited for.
    init?(_ former: Pending, purpose: Purpose, nonce: Nonce, deadline: UInt64) {
      guard let held = former.takePin() else { return nil }
      self.purpose = purpose
      pid = former.pid
      subject = former.subject
      executablePath = former.executablePath
      pin = consume held
      self.nonce = nonce
      self.deadline = deadline
    }

    /// Whether the process is still what was pinned; once it has been taken it is not.
    var state: ProcessPin.State {
      switch pin {
      case .some(let pin): pin.state()
      case .none: .ended
      }
    }

    func takePin() -> ProcessPin? { pin.take() }

    /// A pidfd of the pinned process; nil once it has been taken.
    func duplicatePIDDescriptor() throws(SystemError) -> Descriptor? {
      switch pin {
      case .some(let pin): try pin.pidfd.duplicate()
      case .none: nil
      }
    }

    /// The pinned process's pidfd, for the time of the call; nil once it has been taken.
    func withPIDDescriptor<Value>(_ body: (borrowing Descriptor) -> Value) -> Value? {
      switch pin {
      case .some(let pin): body(pin.pidfd)
      case .none: nil
      }
    }
  }

  final class Outgoing {
    let bytes: [UInt8]
    let descriptor: Descriptor?

    init(bytes: [UInt8], descriptor: consuming Descriptor? = nil) {
      self.bytes = bytes
      self.descriptor = descriptor
    }
  }

  /// An audit read that waits for the next record, or for those that it is about to be on disk.
  struct Following {
    var id: UInt64
    var request: AuditRead
    var caller: Caller
    /// The last number that it waits for; nil: any that comes.
    var until: UInt64?
  }

  let id: UInt64
  let socket: PeerDescriptor
  /// Who connected, for the caps of connections only.
  let peerUID: UInt32
  var isGreeted = false
  var pending: Pending?
  var following: Following?
  /// Where the last page of the journal ended; nil: there is none to go on behind.
  var auditPosition: UInt64?
  var auditCursor: AuditCursor?
  var outgoing: [Outgoing] = []
  /// Grants that wait for their record to be on disk.
  var awaitingRecord = 0

  init(id: UInt64, socket: consuming PeerDescriptor, peerUID: UInt32) {
    self.id = id
    self.socket = socket
    self.peerUID = peerUID
  }
}

/// Where a connection's reading of the journal has come to.
struct AuditCursor: ~Copyable {
  var reader: JournalReader
  /// Read, and not sent yet: it did not fit the page.
  var held: JournalItem?

  init(reader: consuming JournalReader) { self.reader = reader }

  /// See `JournalReader.next`.
  mutating func next(upTo durable: UInt64) throws(JournalError) -> JournalItem? {
    if let item = held.take() { return item }
    return try reader.next(upTo: durable)
  }
}

/// Who sent a request, as far as rights are concerned.
struct Caller: Sendable, Hashable {
  var pid: Int32
  var uid: UInt32
  var subject: Subject
  var isAdministrator: Bool
  var mayReadAudit: Bool
}

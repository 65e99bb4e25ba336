import Authority
import Instructions

/// One entry of the audit journal: who asked for what, what came of it and why.
///
/// A nil is "does not apply" or "could not be found out".
public struct AuditRecord: Sendable, Hashable {
  /// Given by the journal when the record is submitted; 0 before.
  public var sequence: UInt64 = 0
  public var kind: AuditKind
  public var time: AuditTime
  public var boot: BootID
  public var reason: Reason?
  public var detail: RefusalDetail?
  /// What the asker saw, or the errno of an object that could not be opened.
  public var errno: Int32?
  public var path: OperationPath?
  public var operation: Opcode?
  /// What a grant allows; of a refused open what was asked for; of a refused instruction what its association covers.
  public var operations: OperationSet?
  public var operands: Operands?
  public var object: ByteString?
  public var application: ByteString?
  public var association: AssociationID?
  /// Thread group id in the broker's pid namespace.
  public var pid: UInt32?
  public var tid: UInt32?
  /// Start time in the unit of `ProcessResource.start`.
  public var processStart: UInt64?
  /// Effective.
  public var uid: UInt32?
  public var executable: FileIdentity?
  /// /proc/PID/exe as it read then; a text for people, `executable` is what was compared.
  public var executablePath: ByteString?
  public var cgroup: ByteString?
  /// The object's generation that the check saw; reload: the policy's.
  public var generation: UInt32?
  /// The grant that matched, or the one that came nearest, as text.
  public var grant: ByteString?
  public var message: ByteString?
  public var cause: DropCause?
  public var gap: Gap?
  public var repair: Repair?
  /// What the policy has kept out of this record.
  public var redacted: Redaction = []
  public var removal: Removal?
  public var runtimeGrant: RuntimeGrantTerm?
  /// Of what the policy's judge was asked; nil: it was not.
  public var circumstances: Circumstances?
  /// A text was longer than `maximumTextLength`, or there were more groups than are kept: it was cut.
  public var isTruncated = false

  /// Bytes of one text field that are kept; PATH_MAX, so that no path is cut.
  public static let maximumTextLength = 4096

  public init(_ kind: AuditKind, time: AuditTime, boot: BootID) {
    self.kind = kind
    self.time = time
    self.boot = boot
  }

  /// A refusal as the asker was told it.
  public init(refusal: Refusal, time: AuditTime, boot: BootID) {
    self.init(.refusal, time: time, boot: boot)
    reason = refusal.reason
    detail = refusal.detail == .none ? nil : refusal.detail
    errno = refusal.reason.errno
    message = refusal.message.isEmpty ? nil : ByteString(refusal.message)
  }

  /// Fills in what is known of the asker.
  ///
  /// - Parameter tid: the thread that asked, where known.
  public mutating func describe(_ subject: Subject, tid: UInt32? = nil, executablePath: ByteString? = nil) {
    describe(subject.process)
    self.tid = tid
    uid = subject.effectiveUID
    executable = subject.executable
    self.executablePath = executablePath
    cgroup = subject.cgroup.map { ByteString($0) }
  }

  /// Fills in the process alone.
  public mutating func describe(_ process: ProcessResource) {
    pid = process.tgid
    processStart = process.start
  }

  /// Fills in what was asked.
  public mutating func describe(_ instruction: Instruction) {
    operation = instruction.opcode
    operands = instruction.operands
  }

  /// When the runtime grant that it is about ends, as far as its own time tells.
  public var runtimeGrantExpires: AuditTime? { runtimeGrant?.expiry.map { time.at(boottime: $0) } }

  /// The sequence number that follows this record: a gap stands for all of its numbers.
  public var nextSequence: UInt64 { max(sequence, gap?.last ?? 0) &+ 1 }
}

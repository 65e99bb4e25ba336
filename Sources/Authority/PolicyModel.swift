import Instructions

/// A whole policy, checked: every name resolves, every grant fits its object, no name or grant stands twice.
///
/// Made by `Policy` from YAML, or by tests; order is the file's order, which decides between applications.
public struct PolicyModel: Sendable, Hashable {
  /// The group whose members administer the broker, besides root and the broker's own user.
  public var admins: String?
  /// `admins` as the group database resolved it.
  public var adminsID: UInt32?
  public var objects: [ObjectDefinition]
  public var applications: [ApplicationDefinition]
  public var grants: [GrantRule]
  public var limits: UserLimits
  public var audit: AuditSettings

  public init(
    admins: String? = nil, objects: [ObjectDefinition] = [], applications: [ApplicationDefinition] = [],
    grants: [GrantRule] = [], limits: UserLimits = UserLimits(), audit: AuditSettings = AuditSettings(),
    adminsID: UInt32? = nil
  ) {
    self.admins = admins
    self.adminsID = adminsID
    self.objects = objects
    self.applications = applications
    self.grants = grants
    self.limits = limits
    self.audit = audit
  }
}

/// A selector: every key that is given must match; at least one is given.
public struct ApplicationDefinition: Sendable, Hashable {
  public var name: String
  /// Effective uid, resolved from the user database when the policy was read.
  public var user: NamedID?
  /// Effective or supplementary gid.
  public var group: NamedID?
  /// Absolute path; compared by device and inode at match time.
  public var executable: String?
  /// cgroup path as in /proc/PID/cgroup; this one or below.
  public var cgroup: String?
  /// Live process resources with an association at once.
  public var processes: UInt32
  public var traceable: Bool
  public var pidNamespace: String?
  public var networkNamespace: NetworkNamespace?
  public var requestsPerSecond: UInt32?

  public init(
    name: String, user: NamedID? = nil, group: NamedID? = nil, executable: String? = nil,
    cgroup: String? = nil, processes: UInt32 = 64, traceable: Bool = false,
    pidNamespace: String? = nil, networkNamespace: NetworkNamespace? = nil, requestsPerSecond: UInt32? = nil
  ) {
    self.name = name
    self.user = user
    self.group = group
    self.executable = executable
    self.cgroup = cgroup
    self.processes = processes
    self.traceable = traceable
    self.pidNamespace = pidNamespace
    self.networkNamespace = networkNamespace
    self.requestsPerSecond = requestsPerSecond
  }
}

/// A user or group as written and as the database resolved it.
public struct NamedID: Sendable, Hashable {
  public var name: String
  public var id: UInt32

  public init(name: String, id: UInt32) {
    self.name = name
    self.id = id
  }
}

public enum ForkRule: UInt8, Sendable, Hashable { case revalidate = 0, inherit = 1, deny = 2 }
public enum ExecRule: UInt8, Sendable, Hashable { case drop = 0, keep = 1 }
public enum PathChoice: Sendable, Hashable {
  /// direct where the machine and the object allow it, else mediated
  case any
  /// A demand: unavailable is `refused`, never another path.
  case only(OperationPath)
}
extension GrantRule {
  /// `path` as the policy writes it.
  var pathName: String {
    switch path {
    case .any: "any"
    case .only(let path): path.name
    }
  }
}

public enum AuditDetail: UInt8, Sendable, Hashable { case refusals = 0, firstUse = 1, all = 2 }

/// Policy: which application may do which operations on which object.
public struct GrantRule: Sendable, Hashable {
  public var application: String
  public var object: String
  public var operations: OperationSet
  /// nil: not written; revalidate for the library, inherit for `postern run`.
  public var onFork: ForkRule?
  public var onExec: ExecRule
  /// Seconds from association; nil: never.
  public var expires: UInt64?
  public var path: PathChoice
  public var handover: Bool
  /// accepted: recall
  public var recallAccepted: Bool
  public var audit: AuditDetail
  public var mmap: Bool
  /// on-stuck-revoke: kill
  public var killOnStuckRevoke: Bool
  /// Narrower than the object's, relative to the device (as the object's own range is).
  public var range: ByteRange?
  public var access: Access?
  public var connect: [AddressPattern]?
  public var sendTo: [AddressPattern]?
  public var options: [SocketOption]?
  public var ioctls: [ControlRequest]?
  public var message: String

  public init(
    application: String, object: String, operations: OperationSet, onFork: ForkRule? = nil,
    onExec: ExecRule = .drop, expires: UInt64? = nil, path: PathChoice = .any, handover: Bool = false,
    recallAccepted: Bool = false, audit: AuditDetail = .refusals, mmap: Bool = false,
    killOnStuckRevoke: Bool = false, range: ByteRange? = nil, access: Access? = nil,
    connect: [AddressPattern]? = nil, sendTo: [AddressPattern]? = nil, options: [SocketOption]? = nil,
    ioctls: [ControlRequest]? = nil, message: String = ""
  ) {
    self.application = application
    self.object = object
    self.operations = operations
    self.onFork = onFork
    self.onExec = onExec
    self.expires = expires
    self.path = path
    self.handover = handover
    self.recallAccepted = recallAccepted
    self.audit = audit
    self.mmap = mmap
    self.killOnStuckRevoke = killOnStuckRevoke
    self.range = range
    self.access = access
    self.connect = connect
    self.sendTo = sendTo
    self.options = options
    self.ioctls = ioctls
    self.message = message
  }
}

public struct UserLimits: Sendable, Hashable {
  public var connections: UInt32
  public var requests: UInt32
  public var objects: UInt32

  public init(connections: UInt32 = 64, requests: UInt32 = 256, objects: UInt32 = 256) {
    self.connections = connections
    self.requests = requests
    self.objects = objects
  }
}

public struct AuditSettings: Sendable, Hashable {
  /// Seconds.
  public var retention: UInt64
  /// Bytes.
  public var segment: UInt64
  public var redact: Redaction
  public var readers: String?
  /// `readers` as the group database resolved it.
  public var readersID: UInt32?
  /// Where records go beside the journal.
  public var sinks: [AuditSink]
  /// A directory that signed checkpoints are copied to; nil: none.
  public var checkpoints: String?

  public init(
    retention: UInt64 = 90 * 86400, segment: UInt64 = 64 << 20, redact: Redaction = [],
    readers: String? = nil, sinks: [AuditSink] = [], readersID: UInt32? = nil,
    checkpoints: String? = nil
  ) {
    self.checkpoints = checkpoints
    self.readersID = readersID
    self.retention = retention
    self.segment = segment
    self.redact = redact
    self.readers = readers
    self.sinks = sinks
  }
}

/// A receiver of records beside the journal.
public enum AuditSink: Sendable, Hashable {
  /// systemd-journald, by its native protocol.
  case journald
  /// The local syslog daemon.
  case syslog
  /// A file that JSON lines are appended to.
  case file(path: String)

  /// As a policy names it.
  public var name: String {
    switch self {
    case .journald: "journald"
    case .syslog: "syslog"
    case .file(let path): "file:" + path
    }
  }

  /// nil: no sink has this name.
  public init?(name: String) {
    switch name {
    case "journald": self = .journald
    case "syslog": self = .syslog
    default:
      guard name.hasPrefix("file:/"), !name.hasSuffix("/"), !name.utf8.contains(0) else { return nil }
      self = .file(path: String(name.dropFirst(5)))
    }
  }
}

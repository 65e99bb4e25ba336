import Instructions

/// Which records are wanted: every condition that is given must hold; a record without the field does not match.
public struct AuditFilter: Sendable, Hashable {
  public var kind: AuditKind?
  public var verdict: AuditVerdict?
  public var reason: Reason?
  public var object: ByteString?
  public var application: ByteString?
  public var pid: UInt32?
  public var uid: UInt32?
  /// With a slash the whole path, else the file's name.
  public var executable: ByteString?
  public var path: OperationPath?
  public var operation: Opcode?
  /// Wall nanoseconds, inclusive.
  public var since: UInt64?
  /// Wall nanoseconds, exclusive.
  public var until: UInt64?

  public init(
    kind: AuditKind? = nil, verdict: AuditVerdict? = nil, reason: Reason? = nil, object: ByteString? = nil,
    application: ByteString? = nil, pid: UInt32? = nil, uid: UInt32? = nil, executable: ByteString? = nil,
    path: OperationPath? = nil, operation: Opcode? = nil, since: UInt64? = nil, until: UInt64? = nil
  ) {
    self.kind = kind
    self.verdict = verdict
    self.reason = reason
    self.object = object
    self.application = application
    self.pid = pid
    self.uid = uid
    self.executable = executable
    self.path = path
    self.operation = operation
    self.since = since
    self.until = until
  }

  public func matches(_ record: AuditRecord) -> Bool { failing(record).isEmpty }

  /// The conditions that a record does not meet.
  public func failing(_ record: AuditRecord) -> Conditions {
    var failing: Conditions = []
    func demand<Value: Equatable>(_ condition: Conditions, _ wanted: Value?, _ found: @autoclosure () -> Value?) {
      if let wanted, found() != wanted { failing.insert(condition) }
    }
    demand(.kind, kind, record.kind)
    demand(.verdict, verdict, record.kind.verdict)
    demand(.reason, reason, record.reason)
    demand(.object, object, record.object)
    demand(.application, application, record.application)
    demand(.pid, pid, record.pid)
    demand(.uid, uid, record.uid)
    demand(.path, path, record.path)
    demand(.operation, operation, record.operation)
    if let executable, !isExecutable(executable, record) { failing.insert(.executable) }
    if let since, record.time.wall < since { failing.insert(.since) }
    if let until, record.time.wall >= until { failing.insert(.until) }
    return failing
  }

  private func isExecutable(_ wanted: ByteString, _ record: AuditRecord) -> Bool {
    guard let found = record.executablePath else { return false }
    let slash = UInt8(ascii: "/")
    return wanted.bytes.contains(slash)
      ? found == wanted : found.bytes.split(separator: slash).last.map { $0.elementsEqual(wanted.bytes) } ?? false
  }
}

extension AuditFilter {
  /// The conditions of a filter.
  public struct Conditions: OptionSet, Sendable, Hashable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let kind = Conditions(rawValue: 1 << 0)
    public static let verdict = Conditions(rawValue: 1 << 1)
    public static let reason = Conditions(rawValue: 1 << 2)
    public static let object = Conditions(rawValue: 1 << 3)
    public static let application = Conditions(rawValue: 1 << 4)
    public static let pid = Conditions(rawValue: 1 << 5)
    public static let uid = Conditions(rawValue: 1 << 6)
    public static let executable = Conditions(rawValue: 1 << 7)
    public static let path = Conditions(rawValue: 1 << 8)
    public static let operation = Conditions(rawValue: 1 << 9)
    public static let since = Conditions(rawValue: 1 << 10)
    public static let until = Conditions(rawValue: 1 << 11)
  }
}

/// What a record comes to; the raw value is the word that commands use.
public enum AuditVerdict: String, CaseIterable, Sendable, Hashable {
  case refused
  /// An association was made, or an operation was performed.
  case allowed
  /// An association, or the right to one, was taken away.
  case ended
  /// What the broker and its administrators did.
  case other
}

extension AuditKind {
  public var verdict: AuditVerdict {
    switch self {
    case .refusal: .refused
    case .grant, .revalidate, .runtimeGrant, .use: .allowed
    case .drop, .revoke, .runtimeGrantEnd: .ended
    default: .other
    }
  }
}

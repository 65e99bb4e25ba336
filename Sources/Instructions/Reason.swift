/// Why an instruction was rejected; the raw value is the code of `postern_abi.h`.
///
/// Ordered: where several apply, the smallest is told.
public enum Reason: UInt16, CaseIterable, Sendable, Hashable, Comparable {
  case undecidable = 1
  case noSuchObject = 2
  case stale = 3
  case revoked = 4
  case notAssociated = 5
  case expired = 6
  case operation = 7
  case limit = 8
  case busy = 9
  case quota = 10
  case refused = 11

  public static func < (left: Reason, right: Reason) -> Bool { left.rawValue < right.rawValue }

  /// The word that commands and journals use.
  public var name: String {
    switch self {
    case .undecidable: "undecidable"
    case .noSuchObject: "no-such-object"
    case .stale: "stale"
    case .revoked: "revoked"
    case .notAssociated: "not-associated"
    case .expired: "expired"
    case .operation: "operation"
    case .limit: "limit"
    case .busy: "busy"
    case .quota: "quota"
    case .refused: "refused"
    }
  }

  public init?(name: some StringProtocol) {
    guard let reason = Reason.allCases.first(where: { $0.name == name }) else { return nil }
    self = reason
  }

  /// The symbol of the errno that an application sees for this reason.
  public var errnoSymbol: String {
    switch self {
    case .undecidable, .operation: "EACCES"
    case .noSuchObject: "ENOENT"
    case .stale: "ESTALE"
    case .revoked: "EKEYREVOKED"
    case .notAssociated, .expired: "EKEYEXPIRED"
    case .limit: "EPERM"
    case .busy: "EBUSY"
    case .quota: "EDQUOT"
    case .refused: "EKEYREJECTED"
    }
  }

  /// The errno that an application sees, as Linux numbers it on every architecture Postern builds for (asm-generic).
  public var errno: Int32 {
    switch self {
    case .undecidable, .operation: 13
    case .noSuchObject: 2
    case .stale: 116
    case .revoked: 128
    case .notAssociated, .expired: 127
    case .limit: 1
    case .busy: 16
    case .quota: 122
    case .refused: 129
    }
  }
}

/// A closed list of what a `refused` (or another reason at open) stands for, for people and journals.
public enum RefusalDetail: UInt16, CaseIterable, Sendable, Hashable {
  case none = 0
  /// The asker is in another pid namespace than the policy names.
  case namespace = 1
  /// The asker has a tracer and the policy does not allow one.
  case tracer = 2
  /// The grant's `on-fork: deny`.
  case forkDenied = 3
  /// No process resource of the application held the object when the asker was forked, or the asker does not descend from it.
  case notDescended = 4
  /// The asker changed its program image since the first of the two open messages, or since it was associated.
  case execed = 5
  /// The demanded path does not exist on this machine or for this object.
  case pathUnavailable = 6
  /// The selector no longer matches the asker.
  case selector = 7
  /// The nonce of the second open message was not the one given out.
  case nonce = 8
  /// The ancestor's association has expired.
  case ancestorExpired = 9
  /// The object could not be opened by the broker; the errno says why.
  case objectUnavailable = 10
  /// The broker's own objects (socket, state, /proc, bpffs, /dev/mem) are never brokered.
  case brokerOwn = 11
  /// The audit queue is full; grants are denied.
  case auditFull = 12

  public var name: String {
    switch self {
    case .none: "none"
    case .namespace: "namespace"
    case .tracer: "tracer"
    case .forkDenied: "fork-denied"
    case .notDescended: "not-descended"
    case .execed: "execed"
    case .pathUnavailable: "path-unavailable"
    case .selector: "selector"
    case .nonce: "nonce"
    case .ancestorExpired: "ancestor-expired"
    case .objectUnavailable: "object-unavailable"
    case .brokerOwn: "broker-own"
    case .auditFull: "audit-full"
    }
  }
}

/// A denial, as a value: what was refused and what the asker is told.
public struct Refusal: Error, Sendable, Hashable {
  public var reason: Reason
  public var detail: RefusalDetail
  /// The policy's `message`, or empty.
  public var message: String

  public init(_ reason: Reason, detail: RefusalDetail = .none, message: String = "") {
    self.reason = reason
    self.detail = detail
    self.message = message
  }
}

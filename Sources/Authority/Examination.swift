import Instructions

/// A judgement, with how every grant that was looked at stood to the request.
public struct Examination: Sendable, Hashable {
  public var judgement: Judgement
  /// The grants for the object, in file order of their applications.
  public var grants: [ExaminedGrant]
  /// Which of `grants` decided; nil: none applies to the asker.
  public var decider: Int?

  init(judgement: Judgement, grants: [ExaminedGrant], decider: Int?) {
    self.judgement = judgement
    self.grants = grants
    self.decider = decider
  }

  /// Where no grant was looked at.
  init(_ refusal: JudgedRefusal) { self.init(judgement: .refused(refusal), grants: [], decider: nil) }
}

/// One application's grant for the object, as the judge saw it.
public struct ExaminedGrant: Sendable, Hashable {
  public var application: String
  /// Position in `PolicyModel.grants`; nil: a runtime grant only.
  public var grant: Int?
  /// The keys that the application's selector has.
  public var given: SelectorKeys
  /// Those of them that match the asker.
  public var matching: SelectorKeys
  /// What the grant comes to: operations that a missing limit key makes void are left out.
  public var operations: OperationSet
  /// nil: the limits leave nothing.
  public var limits: LimitSet?

  init(_ entry: PolicyModel.Entry, _ match: ApplicationDefinition.Match) {
    application = entry.application.name
    grant = entry.position
    given = match.given
    matching = match.matching
    operations = entry.effective
    limits = entry.limits
  }

  public var isMatch: Bool { !given.isEmpty && given == matching }
}

/// A set of selector keys.
public struct SelectorKeys: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }
  public init(_ key: SelectorKey) {
    rawValue =
      switch key {
      case .user: 1
      case .group: 2
      case .executable: 4
      case .cgroup: 8
      }
  }

  public func contains(_ key: SelectorKey) -> Bool { isSuperset(of: SelectorKeys(key)) }

  /// In the order in which they are compared.
  public var keys: [SelectorKey] { SelectorKey.allCases.filter { contains($0) } }
}

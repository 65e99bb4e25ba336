import Authority
import Instructions

/// What a judge saw beside a record's other fields, and how it came to its answer: enough to judge the same again.
public struct Circumstances: Sendable, Hashable {
  /// What was asked; the raw value stands in the journal.
  public enum Question: UInt8, CaseIterable, Sendable, Hashable {
    /// An open by the library.
    case open = 1
    /// An open by a program that holds the object's own descriptor.
    case run = 2
    /// A place in an association of an ancestor's; the record's application is the ancestor's.
    case revalidation = 3

    public var name: String {
      switch self {
      case .open: "open"
      case .run: "run"
      case .revalidation: "revalidation"
      }
    }
  }

  public var question: Question
  /// The operations that were asked for; empty: all that is granted.
  public var asked: OperationSet
  /// The file that was compared with `executable:`, where it is not the asker's own: what it said it would run.
  public var program: FileIdentity?
  public var effectiveGID: UInt32?
  public var supplementaryGIDs: [UInt32]
  public var pidNamespace: FileIdentity?
  public var networkNamespace: FileIdentity?
  /// The broker's own then.
  public var brokerPIDNamespace: FileIdentity?
  public var brokerNetworkNamespace: FileIdentity?
  public var isTraced: Bool?
  public var descendsFromHolder: Bool
  public var availablePaths: PathSet
  /// Why the policy's judge refused; nil: it did not, something behind it did.
  public var cause: RefusalCause?
  /// The first key of the nearest application's selector that did not match.
  public var mismatch: SelectorKey?

  public init(
    _ question: Question, _ asked: OperationSet, subject: Subject, program: FileIdentity? = nil, facts: MachineFacts,
    descendsFromHolder: Bool = false, refusal: JudgedRefusal? = nil
  ) {
    self.init(
      question, asked, subject: subject, program: program, brokerPIDNamespace: facts.pidNamespace,
      brokerNetworkNamespace: facts.networkNamespace, descendsFromHolder: descendsFromHolder,
      availablePaths: facts.availablePaths.reduce(into: []) { $0.insert(PathSet($1)) }, cause: refusal?.cause,
      mismatch: refusal?.nearest?.mismatch)
  }

  init(
    _ question: Question, _ asked: OperationSet, subject: Subject, program: FileIdentity?,
    brokerPIDNamespace: FileIdentity?,
    brokerNetworkNamespace: FileIdentity?, descendsFromHolder: Bool, availablePaths: PathSet, cause: RefusalCause?,
    mismatch: SelectorKey?
  ) {
    self.question = question
    self.asked = asked
    self.program = program
    effectiveGID = subject.effectiveGID
    supplementaryGIDs = subject.supplementaryGIDs
    pidNamespace = subject.pidNamespace
    networkNamespace = subject.networkNamespace
    self.brokerPIDNamespace = brokerPIDNamespace
    self.brokerNetworkNamespace = brokerNetworkNamespace
    isTraced = subject.traced
    self.descendsFromHolder = descendsFromHolder
    self.availablePaths = availablePaths
    self.cause = cause
    self.mismatch = mismatch
  }
}

extension AuditRecord {
  /// The asker as the judge saw it; nil: the record does not tell.
  public var subject: Subject? {
    guard let circumstances, let pid else { return nil }
    return Subject(
      process: ProcessResource(tgid: pid, start: processStart ?? 0), effectiveUID: uid,
      effectiveGID: circumstances.effectiveGID, supplementaryGIDs: circumstances.supplementaryGIDs,
      executable: circumstances.program ?? executable,
      cgroup: cgroup.flatMap { String(validating: $0.bytes, as: UTF8.self) },
      pidNamespace: circumstances.pidNamespace, networkNamespace: circumstances.networkNamespace,
      traced: circumstances.isTraced)
  }
}

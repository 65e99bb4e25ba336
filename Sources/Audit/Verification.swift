/// What verifying a journal came to: two verdicts, and what they rest on.
public struct Verification: Sendable, Hashable {
  /// Whether what is there is what was written.
  public enum Integrity: String, Sendable, Hashable {
    /// Every record has its tag under the first key.
    case intact
    /// Nothing contradicts itself, but no first key was given.
    case unkeyed
    /// Nothing contradicts itself, but there are records that the given first keys say nothing of: who may write the files
    /// can have sealed them anew.
    case uncovered
    /// Something is not what was written.
    case violated
  }

  /// Whether what was written is there.
  public enum Completeness: String, Sendable, Hashable {
    case complete
    /// No number is missing, but a torn tail had to be cut, or will have to be.
    case repaired
    case incomplete
  }

  public struct Finding: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable {
      /// Bytes that are no record.
      case damaged
      /// A whole record or head whose tag or hash does not fit.
      case altered
      /// A number that was there before.
      case duplicated
      /// A record that stands behind one with a higher number.
      case misplaced
      /// A record or segment of another journal, or one that no writer makes.
      case foreign
      /// What a checkpoint or the key file says is not so.
      case contradicted
    }

    public var kind: Kind
    /// The record's number; where it cannot be read, the one that was to be there.
    public var sequence: UInt64
    /// The first sequence number of the segment.
    public var segment: UInt64
    public var text: String
  }

  public struct Range: Sendable, Hashable {
    public var first: UInt64
    public var last: UInt64
  }

  /// A tail that was cut or waits to be.
  public struct RepairedTail: Sendable, Hashable {
    /// The record that says so; nil: the journal has not been opened since.
    public var sequence: UInt64?
    public var repair: Repair
    /// Records that a failed sync left in doubt and that stand again, or as a gap, in the next segment.
    public var isWithdrawn = false
  }

  public struct CheckpointResult: Sendable, Hashable {
    public enum Outcome: String, Sendable, Hashable {
      case matches
      /// The journal says something else up to there.
      case differs
      /// The journal ends before it.
      case beyond
      /// Its segment is not there any more.
      case notKept = "not-kept"
      /// Of another journal.
      case foreign
      /// The signature is not valid, or not by the card's signer.
      case unsigned
    }

    public var checkpoint: Checkpoint
    public var outcome: Outcome
  }

  public var integrity: Integrity = .unkeyed
  public var completeness: Completeness = .complete
  public var source: JournalID?
  public var records: UInt64 = 0
  /// The first and the last number that is there; nil: there is no record.
  public var kept: Range?
  /// In the order of the journal; at most `mostFindings`, all are counted.
  public var findings: [Finding] = []
  public var findingCount = 0
  public var missing: [Range] = []
  /// Epochs that have ended behind the last record, as the key file's key tells, and of which nothing is there.
  public var lostEpochs: UInt64 = 0
  public var repairs: [RepairedTail] = []
  /// Records that were counted in gap records and not kept.
  public var dropped: UInt64 = 0
  /// The retention removed all up to this number; 0: none.
  public var removed: UInt64 = 0
  /// Records whose tag could not be compared, because what it is chained to is bad.
  public var unverified: UInt64 = 0
  /// A first key was given.
  public var isKeyed = false
  /// The first number of a segment whose first key was not given; nil: every tag was compared.
  public var unkeyedFrom: UInt64?
  /// Records in such segments.
  public var unkeyed: UInt64 = 0
  /// From here on the key that sealed the records is still on the machine: whoever took it can have changed them.
  public var openFrom: UInt64?
  public var checkpoints: [CheckpointResult] = []
  /// The first key lies in the journal's directory: nobody has taken it away.
  public var isKeyWaiting = false
  /// There are segments, and no file with the key that continues the last one's chain.
  public var lacksKeyFile = false
  /// There are files of a journal.
  public var isThere = false

  public static let mostFindings = 1000

  /// The lowest number that is bad; nil: none is.
  public var firstBad: UInt64? { findings.map(\.sequence).min() }

  /// There is nothing that could have been verified.
  public var isEmpty: Bool { !isThere && missing.isEmpty && findingCount == 0 }

  /// No number up to this one is missing, but for those that the retention has removed; nil: there is no record.
  public var upTo: UInt64? { missing.first.map { $0.first - 1 } ?? kept?.last }

  /// Both verdicts are as good as they can be with what was given. With a first key that is: it covers all that is there,
  /// and the end can be compared with the key that has taken its place.
  public var isGood: Bool {
    guard completeness == .complete else { return false }
    return integrity == .intact && !lacksKeyFile || integrity == .unkeyed && !isKeyed
  }
  public var isBad: Bool { integrity == .violated || completeness == .incomplete }

  mutating func find(_ kind: Finding.Kind, _ sequence: UInt64, in segment: UInt64, _ text: String) {
    findingCount += 1
    if findings.count < Verification.mostFindings {
      findings.append(Finding(kind: kind, sequence: sequence, segment: segment, text: text))
    }
  }
}

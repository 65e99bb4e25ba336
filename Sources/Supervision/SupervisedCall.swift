import Instructions
import Linux

/// A call that waits in the kernel for a verdict, as the thread that decides is told of it.
public struct SupervisedCall: Sendable {
  /// An object that the call could be about, and what the call itself asks of it.
  public struct Candidate: Sendable, Hashable {
    public var object: ObjectID
    public var operations: OperationSet
  }

  public var supervisor: UInt64
  /// The notification's id.
  public var id: UInt64
  /// In the broker's pid namespace.
  public var process: Int32
  public var thread: Int32
  /// In the policy's order; empty where no object of the policy could be meant.
  public var candidates: [Candidate]
  /// What it is an instance of.
  public var opcode: Opcode
  public var operands: Operands
  /// For people: `bind 0.0.0.0:80`.
  public var text: String
  /// Without a grant the kernel is going to refuse it, so that letting it through is a refusal for the journal.
  public var isPrivileged: Bool
}

/// What supervisors tell the thread that decides.
public enum SupervisorMessage: Sendable {
  case judge(SupervisedCall)
  /// Let through without a grant, for this reason; nothing is to be answered. Who it was is told, because by now it may
  /// have ended.
  case refused(SupervisedCall, reason: Reason, object: ObjectID?, why: String, by: ProcessFacts, start: UInt64)
  /// Performed; for grants that want uses recorded.
  case performed(SupervisedCall, object: ObjectID, process: ProcessResource)
  /// What became of a recall that was started under this number.
  case recalled(UInt64, [Recall.Outcome])
  /// An outcome that had not come when `recalled` was said.
  case recalledLate(Recall.Target, Recall.Outcome)
  /// What became of taking back the disk in the ring with this number; nil: it is of no use any more.
  case ringTakenBack(UInt64, SystemError?)
  /// Who holds what an earlier broker had handed over.
  case found([Survey.Holder])
  /// No process uses the filter any more, or the listener is of no use.
  case ended(supervisor: UInt64)
}

/// What the thread that decides answers.
public enum SupervisedVerdict: Sendable, Hashable {
  /// The process has an association for this object, recorded. `recordsUses`: what is performed is to be told.
  case associated(ObjectID, ProcessResource, recordsUses: Bool)
  /// Recorded; the call is let through to the kernel's own checks.
  case refused
}

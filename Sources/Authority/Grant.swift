import Instructions

/// Proof that a check passed for exactly one instruction; effects consume it, so none can happen without a check.
///
/// Only an entity makes one (module `Entity`); `make check` refuses its initializer anywhere else.
public struct Grant: ~Copyable, Sendable {
  public let issuer: Issuer
  public let instruction: Instruction
  /// nil where the issuer is the kernel.
  public let association: AssociationID?
  /// The part of the device that offsets are relative to; nil: the object has no range.
  public let range: ByteRange?
  /// The object's generation that the check saw.
  public let generation: UInt32
  /// Boottime nanoseconds after which this verdict may not be used again; 0: never ends.
  public let expiry: UInt64

  package init(
    issuer: Issuer, instruction: Instruction, association: AssociationID?, range: ByteRange?,
    generation: UInt32, expiry: UInt64
  ) {
    self.issuer = issuer
    self.instruction = instruction
    self.association = association
    self.range = range
    self.generation = generation
    self.expiry = expiry
  }
}

/// The entity's answer to one instruction.
public enum Verdict: ~Copyable, Sendable {
  case granted(Grant)
  case refused(Reason)
}

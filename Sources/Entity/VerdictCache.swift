import Authority
import Instructions

/// The interpreter's fast path: one channel's last positive verdicts, reused without asking the entity.
///
/// A verdict is reused for the same *sender identity*, opcode and class of operands, while nothing in the table has
/// changed that could make it negative (`AuthorizationEntity.changes`), and before its expiry. The sender is part of
/// the key because a child that sends on an inherited channel right after its parent must not get its parent's verdict.
/// Kept per channel, so the channel is part of the key too.
public struct VerdictCache: ~Copyable, Sendable {
  private struct Entry {
    var process: ProcessResource
    var changes: UInt64
    var association: AssociationID?
    var range: ByteRange?
    var generation: UInt32
    var expiry: UInt64
  }

  /// By opcode; instructions whose operands are compared one by one are never kept.
  private var entries: [Entry?] = Array(repeating: nil, count: Opcode.allCases.count)
  public private(set) var hits: UInt64 = 0
  public private(set) var misses: UInt64 = 0

  public init() {}

  /// Forgets everything.
  public mutating func clear() {
    for index in entries.indices { entries[index] = nil }
  }

  /// The entity's verdict, or the same one again where it still stands.
  public mutating func check(
    _ instruction: Instruction, issuer: Issuer, now: @autoclosure () -> UInt64, entity: some AuthorizationEntity
  ) -> Verdict {
    guard case .process(let process) = issuer, VerdictCache.isIndependentOfOperands(instruction.opcode) else {
      return entity.check(instruction, issuer: issuer, now: now())
    }
    let index = Int(instruction.opcode.rawValue)
    // Read before the check: a change in between makes the entry stale at once, never valid too long.
    let changes = entity.changes
    if let entry = entries[index], entry.changes == changes, entry.process == process,
      entry.expiry == 0 || now() < entry.expiry
    {
      hits &+= 1
      return .granted(
        Grant(
          issuer: issuer, instruction: instruction, association: entry.association, range: entry.range,
          generation: entry.generation, expiry: entry.expiry))
    }
    misses &+= 1
    switch entity.check(instruction, issuer: issuer, now: now()) {
    case .refused(let reason):
      entries[index] = nil
      return .refused(reason)
    case .granted(let grant):
      entries[index] = Entry(
        process: process, changes: changes, association: grant.association, range: grant.range,
        generation: grant.generation, expiry: grant.expiry)
      return .granted(grant)
    }
  }

  /// Opcodes for which no limit looks at the operands: their class is "any".
  ///
  /// write, discard, connect, send, setoption and control are bounded by limits. read and receive are not (a read past
  /// the end gives 0 bytes); the broker sets no LENGTH limit, which would bound them all.
  private static func isIndependentOfOperands(_ opcode: Opcode) -> Bool {
    switch opcode {
    case .read, .flush, .info, .bind, .listen, .accept, .receive, .shutdown, .getoption, .transfer, .wait: true
    case .write, .discard, .connect, .send, .setoption, .control: false
    }
  }
}

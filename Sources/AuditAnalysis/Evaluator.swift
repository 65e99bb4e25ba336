import Audit
import Authority
import Instructions

/// An instruction and the association that it would be issued under.
public struct HeldInstruction: Sendable, Hashable {
  public var opcode: Opcode
  public var operands: Operands
  public var kind: ObjectKind
  public var operations: OperationSet
  public var limits: LimitSet
}

/// What records are held against: a policy, the machine that it speaks of, and the decision function.
///
/// It has no rule of its own: opens and revalidations are judged by the policy's judge, instructions by the entity's
/// decision function, both as the broker asks them.
public struct Evaluator {
  public var policy: PolicyModel
  /// As in `MachineFacts`.
  public var identity: (String) -> FileIdentity?
  public var isBlockDevice: (String) -> Bool?
  /// The entity's decision; nil: executed.
  public var check: (HeldInstruction) -> Reason?

  public init(
    policy: PolicyModel, identity: @escaping (String) -> FileIdentity?, isBlockDevice: @escaping (String) -> Bool?,
    check: @escaping (HeldInstruction) -> Reason?
  ) {
    self.policy = policy
    self.identity = identity
    self.isBlockDevice = isBlockDevice
    self.check = check
  }

  /// The same machine under another policy.
  public func under(_ policy: PolicyModel) -> Evaluator {
    var copy = self
    copy.policy = policy
    return copy
  }
}

extension Evaluator {
  /// The request that a record tells of, as the judge was asked; nil: it tells of none, or not enough.
  func request(of record: AuditRecord) -> (request: OpenRequest, facts: MachineFacts)? {
    guard let circumstances = record.circumstances, let subject = record.subject,
      let object = record.object.flatMap({ String(validating: $0.bytes, as: UTF8.self) })
    else { return nil }
    let request = OpenRequest(
      subject: subject, object: object, operations: circumstances.asked,
      door: circumstances.question == .run ? .run : .library, descendsFromHolder: circumstances.descendsFromHolder)
    return (request, facts(of: record, circumstances))
  }

  private func facts(of record: AuditRecord, _ circumstances: Circumstances) -> MachineFacts {
    // The program that the asker was then may have been replaced since: its path stands for what it was.
    let path = circumstances.program == nil ? record.executablePath?.bytes : nil
    let paths = OperationPath.allCases.filter { circumstances.availablePaths.contains($0) }
    return MachineFacts(
      pidNamespace: circumstances.brokerPIDNamespace, networkNamespace: circumstances.brokerNetworkNamespace,
      availablePaths: Set(paths), now: record.time.boottime, isBlockDevice: isBlockDevice,
      identity: { [identity] wanted in
        if let path, path.elementsEqual(wanted.utf8), let known = record.executable { return known }
        return identity(wanted)
      })
  }

  /// What the policy's judge says of what a record tells, with neither runtime grants nor standing revokes; nil: the
  /// record does not tell enough.
  func examine(_ record: AuditRecord) -> Examination? {
    guard let (request, facts) = request(of: record) else { return nil }
    guard record.circumstances?.question == .revalidation else {
      return policy.examine(open: request, authority: RuntimeAuthority(), facts: facts)
    }
    return policy.examine(
      revalidation: request,
      application: record.application.flatMap { String(validating: $0.bytes, as: UTF8.self) } ?? "",
      authority: RuntimeAuthority(), facts: facts)
  }

  /// The grant that an instruction's association rests on.
  func rule(of record: AuditRecord) -> (rule: GrantRule, object: ObjectDefinition, limits: LimitSet)? {
    guard let application = record.application.flatMap({ String(validating: $0.bytes, as: UTF8.self) }),
      let name = record.object.flatMap({ String(validating: $0.bytes, as: UTF8.self) }),
      let object = policy.objects.first(where: { $0.name == name }),
      let rule = policy.grants.first(where: { $0.application == application && $0.object == name }),
      let limits = try? LimitSet(object, narrowedBy: rule)
    else { return nil }
    return (rule, object, limits)
  }

  /// What the decision function says of a refused or performed instruction under this policy's grant.
  ///
  /// - Parameter operations: what the association is to cover; nil: all that the grant comes to.
  func reason(of record: AuditRecord, having operations: OperationSet? = nil) -> InstructionVerdict {
    guard let opcode = record.operation else { return .undecidable("the record names no operation") }
    guard let (rule, object, limits) = rule(of: record) else { return .noGrant }
    let effective = limits.effective(rule.operations.intersection(object.kind.operations))
    var within = limits
    if object.kind == .disk, limits.range == nil {
      // A whole device: its length is the device's own.
      guard opcode != .write, opcode != .discard else {
        return effective.contains(opcode)
          ? .undecidable("the range is the whole device, whose length the record does not have") : .refused(.operation)
      }
      within.range = ByteRange(offset: 0, length: UInt64(Int64.max))
    }
    let held = HeldInstruction(
      opcode: opcode, operands: record.operands ?? Operands(), kind: object.kind, operations: operations ?? effective,
      limits: within)
    if held.operations.isEmpty { return .refused(.operation) }
    return check(held).map { .refused($0) } ?? .executed
  }

  enum InstructionVerdict: Hashable {
    case executed
    case refused(Reason)
    /// The application has no grant for the object.
    case noGrant
    case undecidable(String)
  }
}

extension AuditRecord {
  /// Whether it tells of an open or a revalidation, not of an instruction on something held.
  var isOfDoor: Bool { circumstances != nil || operation == nil }
}

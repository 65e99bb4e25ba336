import Authority
import Instructions
import Linux

/// Asks the decision function about instructions that nobody issues: what it said of a journal's, and what it would say
/// of the same under other limits.
public final class Rehearsal {
  /// What an association would have.
  private struct Part: Hashable {
    var kind: ObjectKind
    var operations: OperationSet
    var limits: LimitSet
  }

  private let entity: SimulatedEntity
  private var objects: [Part: ObjectID] = [:]
  private let process = ProcessResource(tgid: 1, start: 1)

  /// Errors: what the table's memory gives.
  public init() throws(SystemError) { entity = try SimulatedEntity() }

  /// nil: the instruction would be executed.
  public func reason(
    of opcode: Opcode, _ operands: Operands, on kind: ObjectKind, having operations: OperationSet,
    within limits: LimitSet
  ) -> Reason? {
    guard let object = object(for: Part(kind: kind, operations: operations, limits: limits)) else {
      return .undecidable
    }
    let instruction = Instruction(opcode: opcode, object: object, operands: operands)
    switch entity.check(instruction, issuer: .process(process), now: 1, visible: true).verdict() {
    case .granted: return nil
    case .refused(let reason): return reason
    }
  }

  private func object(for part: Part) -> ObjectID? {
    if let known = objects[part] { return known }
    let id = ObjectID(rawValue: UInt32(objects.count + 1))
    do {
      let generation = try entity.addObject(
        ObjectRecord(id: id, kind: part.kind, operations: part.kind.operations), generation: 0)
      let limits = try entity.define(limits: part.limits)
      defer { entity.release(limits) }
      _ = try entity.associate(
        AssociationRequest(
          process: process, object: id, application: ApplicationID(rawValue: 1), generation: generation,
          requested: part.operations, granted: part.operations, limits: limits), now: 1)
    } catch { return nil }
    objects[part] = id
    return id
  }
}

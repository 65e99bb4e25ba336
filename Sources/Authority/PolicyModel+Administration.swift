import Instructions

extension PolicyModel {
  /// Whether the subject may administer: root, the broker's own user, or a member of the `admins` group.
  ///
  /// An unknown uid is nobody's; an unknown group is no membership.
  public func isAdministrator(_ subject: Subject, brokerUID: UInt32) -> Bool {
    guard let uid = subject.effectiveUID else { return false }
    if uid == 0 || uid == brokerUID { return true }
    guard let adminsID else { return false }
    return subject.effectiveGID == adminsID || subject.supplementaryGIDs.contains(adminsID)
  }
}

/// Why a runtime grant does not fit the policy.
public enum RuntimeGrantMistake: Error, Sendable, Hashable {
  case unknownApplication
  case unknownObject
  case noOperation
  /// The object's kind does not know these.
  case operations(OperationSet)
}

extension PolicyModel {
  /// Checks that a runtime grant names what exists and operations that the object's kind knows.
  public func check(_ grant: RuntimeGrant) -> RuntimeGrantMistake? {
    guard applications.contains(where: { $0.name == grant.key.application }) else { return .unknownApplication }
    guard let object = objects.first(where: { $0.name == grant.key.object }) else { return .unknownObject }
    guard !grant.operations.isEmpty else { return .noOperation }
    let foreign = grant.operations.subtracting(object.kind.operations)
    return foreign.isEmpty ? nil : .operations(foreign)
  }
}

import Instructions
import Linux
import Wire

extension DirectObject {
  /// A call on the object's descriptor, and its one repetition after a revalidation.
  struct Attempt {
    let object: DirectObject
    let opcode: Opcode
    /// Of the association, when the call was made.
    private var epoch: UInt64
    private var isFirst = true

    init(_ object: DirectObject, _ opcode: Opcode) throws(PosternError) {
      self.object = object
      self.opcode = opcode
      // As the other path answers it; the kernel might take the call for another operation.
      guard object.descriptor.isOpen else { throw DirectObject.closedByApplication }
      guard object.kind.operations.contains(opcode) else {
        throw .refused(Refusal(.operation), errno: Reason.operation.errno)
      }
      epoch = object.current { $0.epoch }
    }

    /// Returns where the call is to be made again: the kernel knew of no association, and now there is one.
    ///
    /// - Throws: what the application is told.
    mutating func recover(from error: SystemError) throws(PosternError) {
      let told = object.meaning(of: error, opcode)
      guard isFirst, object.original == nil, told.wantsRevalidation, object.connection.revalidatesAutomatically,
        // Whatever a vfork(2) child noted would be its parent's. It gets the first error.
        !ForkHandlers.missedFork
      else { throw told }
      isFirst = false
      try object.revalidate(since: epoch)
      epoch = object.current { $0.epoch }
    }
  }

  public func revalidate() throws(PosternError) {
    guard descriptor.isOpen else { throw Self.closedByApplication }
    guard !ForkHandlers.missedFork else {
      throw .refused(Refusal(.notAssociated), errno: Reason.notAssociated.errno)
    }
    try revalidate(since: current { $0.epoch })
  }

  /// Revalidates once for all threads that saw the association missing in `epoch`.
  func revalidate(since epoch: UInt64) throws(PosternError) {
    let isOurs = state.wait { state -> Bool? in
      state.adopt()
      guard state.epoch == epoch else { return false }
      guard !state.isRecovering else { return nil }
      state.isRecovering = true
      return true
    }
    guard isOurs else { return }
    do {
      let revalidated = try connection.revalidate(object: object)
      current { state in
        state.isRecovering = false
        state.epoch &+= 1
        state.facts.association = revalidated.association
        state.facts.operations = revalidated.operations
        state.facts.generation = revalidated.generation
        state.facts.expiry = revalidated.expiry
      }
      state.wake()
    } catch {
      current { $0.isRecovering = false }
      state.wake()
      throw error
    }
  }

  /// What the application is told of a system call's error.
  func meaning(of error: SystemError, _ opcode: Opcode) -> PosternError {
    guard descriptor.isOpen else { return Self.closedByApplication }
    let facts = facts
    let isExpired = facts.expiry != 0 && facts.expiry <= Clock.boottime()
    if let reason = Reason(kernel: error.errno, opcode, granted: facts.operations, isExpired: isExpired) {
      return .refused(Refusal(reason), errno: reason.errno)
    }
    return .failed(errno: error.errno, text: "")
  }

  static var closedByApplication: PosternError {
    .usage(errno: SystemError.badDescriptor, text: "the descriptor is closed")
  }
}

extension PosternError {
  /// The first error: nothing was executed, and revalidation may help.
  fileprivate var wantsRevalidation: Bool {
    refusal?.reason == .notAssociated || refusal?.reason == .expired
  }
}

extension Reason {
  /// The reason that an errno of the kernel's check stands for; nil where the object itself may have answered so.
  ///
  /// The errno of a key belongs to the check alone. The others are also what devices, protocols and firewalls answer: they
  /// are taken for a refusal where the operation is not granted, or knows no other way to fail so.
  init?(kernel errno: Int32, _ opcode: Opcode, granted: OperationSet, isExpired: Bool) {
    switch errno {
    case Reason.notAssociated.errno: self = isExpired ? .expired : .notAssociated
    case Reason.revoked.errno: self = .revoked
    case Reason.stale.errno: self = .stale
    case Reason.refused.errno: self = .refused
    case Reason.operation.errno where !granted.contains(opcode): self = .operation
    // The descriptor was opened for no more than is granted; sysfs files that are read only have no pwrite(2).
    case SystemError.badDescriptor where !granted.contains(opcode): self = .operation
    case SystemError.illegalSeek where opcode == .write && !granted.contains(.write): self = .operation
    case Reason.undecidable.errno where !opcode.othersAnswer.contains(.undecidable): self = .undecidable
    case Reason.limit.errno where !opcode.othersAnswer.contains(.limit): self = .limit
    case Reason.noSuchObject.errno where !opcode.othersAnswer.contains(.noSuchObject): self = .noSuchObject
    default: return nil
    }
  }
}

extension Opcode {
  /// Reasons whose errno the object itself can answer, or the kernel for another cause.
  fileprivate var othersAnswer: Set<Reason> {
    switch self {
    // EPERM: a device or file that was made read-only meanwhile.
    case .write, .discard: [.limit]
    // EPERM: a firewall (accept(2)).
    case .accept: [.limit]
    // EACCES: broadcast, or a privileged or unix address; EPERM: a firewall; ENOENT: a unix address.
    case .bind, .connect, .send: [.undecidable, .limit, .noSuchObject]
    // Options and device requests have errors of their own.
    case .getoption, .setoption, .control: [.undecidable, .limit, .noSuchObject]
    case .read, .flush, .info, .listen, .receive, .shutdown, .transfer, .wait: []
    }
  }
}

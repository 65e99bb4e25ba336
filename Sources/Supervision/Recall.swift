import Authority
import Instructions
import Linux

/// Takes back what was handed over, as far as the kernel lets anybody.
///
/// The broker keeps no duplicate of a program's socket: it would hold the port after the program has closed it. So the
/// socket is looked for in the processes that hold it; it is one socket for all that share it, so finding it once is
/// enough.
public struct Recall: Sendable {
  /// One association that has been dropped from the table.
  public struct Target: Sendable {
    public var association: AssociationID
    public var object: ObjectID
    public var definition: ObjectDefinition
    /// handover or direct
    public var path: OperationPath
    public var network: UInt64?
    public var holder: ProcessResource
    /// The holder and everything that may have the descriptor from it.
    public var processes: [Int32]
    /// `on-stuck-revoke: kill`
    public var killsStuck: Bool
    /// The association allowed to map the object: what is mapped is used without a system call.
    public var mayBeMapped = false

    public init(
      association: AssociationID, object: ObjectID, definition: ObjectDefinition, path: OperationPath,
      network: UInt64?, holder: ProcessResource, processes: [Int32], killsStuck: Bool
    ) {
      self.association = association
      self.object = object
      self.definition = definition
      self.path = path
      self.network = network
      self.holder = holder
      self.processes = processes
      self.killsStuck = killsStuck
    }
  }

  public enum Outcome: Sendable, Hashable {
    case recalled
    /// So many threads, or requests that a device has, have not ended.
    case running(Int)
    case cannotRecall(String)
  }

  let targets: [Target]
  let supervisors: [Supervisor]
  /// Boottime nanoseconds.
  let deadline: UInt64
  /// Likewise: nobody is waited for any more.
  let end: UInt64
  /// Likewise: who is looked at later has too little time left to be called stuck, and killed for it.
  let lastChance: UInt64
  /// More of them wait for others to end. It is more than several applications have processes, should all of those be stuck.
  var threads = 512

  /// Starts it on a thread of its own.
  ///
  /// - Parameters:
  ///   - deadline: boottime nanoseconds.
  ///   - done: called there, once, with an outcome for each target in their order; before the deadline, unless the machine is
  ///     busy.
  ///   - late: called on any thread with what comes out after that.
  public static func start(
    _ targets: [Target], supervisors: [Supervisor], deadline: UInt64,
    done: @escaping @Sendable ([Outcome]) -> Void, late: @escaping @Sendable (Target, Outcome) -> Void
  ) throws(SystemError) {
    let start = Clock.boottime()
    let span = deadline > start ? deadline - start : 0
    // A little sooner, so that it is known how much is left; and so that whoever waits knows by the deadline.
    let margin = min(span / 8, 20_000_000)
    let recall = Recall(
      targets: targets, supervisors: supervisors, deadline: start + span - margin, end: start + span - margin / 2,
      lastChance: start + span / 4 * 3)
    _ = try Thread("recall") { done(recall.run(late: late)) }
  }

  /// Whether a bind that was checked before the association was dropped is still under way at `end`.
  func isPerforming(_ target: Target, until end: UInt64) -> Bool {
    while supervisors.contains(where: { $0.isPerforming(target.object, target.holder) }) {
      guard Clock.boottime() < end else { return true }
      Clock.sleep(nanoseconds: 200_000)
    }
    return false
  }

  func outcome(ofHandedOver target: Target) -> Outcome {
    if isPerforming(target, until: deadline) { return .running(1) }
    var holding: [Int32] = []
    var stuck = ""
    // By cookie: whoever shares a socket that was taken back has nothing left of it.
    var taken: Set<UInt64> = []
    // Twice where nothing was found: a descriptor that moves from one process to another while we look is seen then.
    for _ in 0..<2 where taken.isEmpty && holding.isEmpty {
      for pid in target.processes {
        guard let why = takeBack(target, from: pid, &taken) else { continue }
        stuck = why
        holding.append(pid)
      }
    }
    guard !holding.isEmpty else { return .recalled }
    guard target.killsStuck else { return .cannotRecall(stuck) }
    return kill(holding) ? .recalled : .cannotRecall("\(stuck); it could not be ended either")
  }

  /// nil: the process has nothing of it any more. Else why it has.
  private func takeBack(_ target: Target, from pid: Int32, _ taken: inout Set<UInt64>) -> String? {
    switch target.definition.specification {
    case .socket(let specification):
      var stuck: String?
      let look = HeldObject.sockets(specification, network: target.network, in: pid) { socket, description in
        if let why = takeBack(socket, description, specification.endpoint, &taken) { stuck = why }
      }
      if case .unable(let why) = look { return why }
      return stuck
    case .disk, .bus:
      guard let path = target.definition.path else { return nil }
      switch HeldObject.hasOpen(path, in: pid) {
      case .success(false): return nil
      case .success(true): return "the program has the device open, and the kernel has no means against that"
      case .failure(let error): return "process \(pid) cannot be looked at: \(error)"
      }
    }
  }

  private func takeBack(
    _ socket: borrowing Descriptor, _ description: SocketDescription, _ endpoint: SocketSpecification.Endpoint,
    _ taken: inout Set<UInt64>
  ) -> String? {
    if !taken.contains(description.cookie) {
      // Locked by an earlier recall, the filter is ours, and this succeeds.
      do throws(SystemError) { try socket.recallSocket() } catch {
        return description.isFilterLocked
          ? "the program has locked a filter of its own on the socket, so that it can listen again" : "\(error)"
      }
      taken.insert(description.cookie)
    }
    switch endpoint {
    case .tcp, .udp, .unix: return nil
    case .raw, .packet:
      return "receiving has ended; the kernel has no means against sending on a raw or packet socket"
    }
  }

  private func kill(_ pids: [Int32]) -> Bool {
    var all = true
    for pid in pids {
      guard let process = try? ProcessPin.handle(of: pid) else { continue }
      all = (try? ProcessDescriptors.kill(process, until: deadline)) == true && all
    }
    return all
  }
}

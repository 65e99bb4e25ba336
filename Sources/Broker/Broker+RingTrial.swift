import Authority
import Entity
import Instructions
import Linux
import Policy
import Wire

/// The process that applications' rings are held by: it has nothing of the broker's in its memory, and a system call that
/// waits for somebody's lock holds up nobody but one of its children.
public enum RingHandsProcess {
  /// Works until its broker has ended; then each hand empties its ring and ends.
  ///
  /// - Returns: the exit status.
  public static func run() -> Int32 {
    do throws(SystemError) {
      let source = try OwnProcess.takeMessageSocket(OwnProcess.detachedDescriptor)
      let own = try ProcessPin.handle(of: Confinement.processID)
      OwnProcess.rename("postern-rings")
      _ = try Confinement.raiseDescriptorLimit()
      try Confinement.noNewPrivileges()
      // Without a hand what is in a ring can only be made useless, not taken out: others are to be killed first.
      Confinement.avoidOutOfMemoryKiller()
      try Confinement.notDumpable()
      // Taking a ring from another user's process; a filter on a TCP socket.
      try Confinement.limitCapabilities(to: [.sysPtrace, .netAdmin])
      try SystemCallFilter.hands.install()
      RingHands.serve(source, own)
      return 0
    } catch { return 69 }
  }
}

/// Whether the process that hands are forked from has been started.
enum RingStart: ~Copyable {
  case started(RingHands)
  case not(String)
}

extension Broker {
  /// - Parameter kernel: what it enforces on the path direct makes an exception for hands.
  static func startRings(
    _ configuration: BrokerConfiguration, _ policy: PolicyModel, _ kernel: DirectKernel?
  ) -> RingStart {
    guard policy.grants.contains(where: { $0.path == .only(.ring) }) else {
      return .not("no grant of the policy says `path: ring`, so nothing was started")
    }
    guard let arguments = configuration.ringArguments else { return .not("this program holds no rings") }
    do throws(SystemError) {
      let hands = try RingHands(arguments)
      try kernel?.nameHands(hands)
      return .started(hands)
    } catch { return .not("the process that holds rings cannot be started: \(error)") }
  }

  /// Finds out whether the path works here; before the broker confines itself.
  func tryRings() {
    switch ringHands {
    case .some(let hands):
      ringObstacle = Self.obstacle { () throws(SystemError) in try Self.trial(hands, direct?.kernel, ofDisk: false) }
      guard ringObstacle == nil else { return }
      ringDiskObstacle = Self.obstacle { () throws(SystemError) in try Self.trial(hands, direct?.kernel, ofDisk: true) }
    case .none: break
    }
  }

  private static func obstacle(_ trial: () throws(SystemError) -> String?) -> String? {
    do throws(SystemError) { return try trial() } catch { return text(of: error) }
  }

  private static func text(of error: SystemError) -> String {
    guard error.operation == "io_uring_setup" else { return "\(error)" }
    return error.errno == ErrorCode.noSystemCall
      ? "the kernel has no io_uring" : "the kernel lets nobody make a ring (\(error)); see kernel.io_uring_disabled"
  }

  /// A ring of our own with a socket or a disk in it: one request that is granted, one that is not, one after it was emptied.
  private static func trial(
    _ hands: borrowing RingHands, _ kernel: DirectKernel?, ofDisk: Bool
  ) throws(SystemError) -> String? {
    let ring = try ClientRing(entries: 8)
    // Not from this process, which nobody may reach into, but from one that is guarded as a holder of the path direct is.
    let standIn = try RingStandIn(ring)
    let outcome: Result<String?, SystemError>
    do throws(SystemError) {
      if let kernel {
        try kernel.noteHolder(standIn.pidfd, try kernel.identity(standIn.pidfd), traceable: false)
      }
      outcome = .success(
        ofDisk ? try trialOfDisk(hands, ring, of: standIn.pidfd) : try trialOfSocket(hands, ring, of: standIn.pidfd))
    } catch { outcome = .failure(error) }
    standIn.end()
    return try outcome.get()
  }

  private static func trialOfSocket(
    _ hands: borrowing RingHands, _ ring: ClientRing, of application: borrowing Descriptor
  ) throws(SystemError) -> String? {
    let pair = try MessageSocket.pair()
    let sent = [UInt8]([1]).withRawSpan { span in try? MessageSocket.send(pair.second.rawValue, span) }
    guard case .ready? = sent else { return "a socket pair does not work" }
    return try trial(hands, ring, of: application, .socket, pair.first, granted: .receive, refused: .send, length: 1)
  }

  private static func trialOfDisk(
    _ hands: borrowing RingHands, _ ring: ClientRing, of application: borrowing Descriptor
  ) throws(SystemError) -> String? {
    let length = 512
    let file = try RingDevice.trialFile(length: length)
    let embodiment = RingOrder.Embodiment.disk(offset: 0, length: UInt64(length), writable: false)
    return try trial(hands, ring, of: application, embodiment, file, granted: .read, refused: .write, length: length)
  }

  private static func trial(
    _ hands: borrowing RingHands, _ ring: ClientRing, of application: borrowing Descriptor,
    _ embodiment: RingOrder.Embodiment, _ object: borrowing Descriptor, granted: RingOpcode, refused: RingOpcode,
    length: Int
  ) throws(SystemError) -> String? {
    let limit = Clock.boottime() + 5_000_000_000
    let opcodes = RingOpcodes(rawValue: 1 << UInt64(granted.rawValue))
    let hand = try hands.hand(
      RingOrder(ring: ring.number, embodiment: embodiment, opcodes: opcodes, deadline: limit),
      application: application, object: object)
    switch try hand.next(until: limit) {
    case .prepared: break
    case .refused(let refusal): return refusal.text
    default: return "a ring was not prepared"
    }
    try hand.give()
    guard case .given = try hand.next(until: limit) else { return "a ring was not filled" }
    let bytes = try RingParcel([UInt8](repeating: 0, count: length), destination: nil)
    func result(_ opcode: RingOpcode) throws(SystemError) -> Int32? {
      var request = ClientRing.Request(opcode, userData: 1)
      request.address = bytes.address
      request.length = UInt32(length)
      guard try ring.push(request) else { return nil }
      try ring.submit()
      try ring.wait(nanoseconds: 1_000_000_000)
      return ring.take()?.result
    }
    guard try result(granted) == Int32(length) else { return "a granted request on a ring failed" }
    guard try result(refused) == -ErrorCode.accessDenied else { return "a request that is not granted was not refused" }
    try hand.recall(deadline: limit)
    guard case .recalled = try hand.next(until: limit) else { return "a ring could not be emptied" }
    guard try result(granted) == -ErrorCode.badDescriptor else { return "an emptied ring still has its object" }
    return nil
  }

  func doctorRing(_ row: (String, DoctorRow.State, String) -> Void) {
    switch ringObstacle {
    case nil:
      row("path ring", .works, "one allowed and one refused request behaved so, and none after the ring was emptied")
    case .some(let why): return row("path ring", .refused, why)
    }
    switch ringDiskObstacle {
    case nil: row("path ring for disks", .works, "the same with a loop device")
    case .some(let why): row("path ring for disks", .refused, why)
    }
  }

  /// The grants that demand the path and do not get it. For administrators: which there are is nobody else's to know.
  func doctorRingGrants(_ row: (String, DoctorRow.State, String) -> Void) {
    for grant in policy.grants where grant.path == .only(.ring) {
      guard let object = policy.objects.first(where: { $0.name == grant.object }),
        let limits = try? LimitSet(object, narrowedBy: grant),
        let obstacle = object.ringObstacle(
          grant, operations: limits.effective(grant.operations), sendTo: limits.sendTo)
          ?? (object.kind == .disk && ringObstacle == nil ? ringDiskObstacle : nil)
      else { continue }
      row("path ring, \(grant.application) on \(grant.object)", .refused, obstacle)
    }
  }
}

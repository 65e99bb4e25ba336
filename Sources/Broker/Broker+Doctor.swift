import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Wire

extension Broker {
  /// Which paths and kernel features work here, each found out by trying it.
  func doctor(for caller: Caller) -> Page<DoctorRow> {
    var page = Page<DoctorRow>()
    func row(_ subject: String, _ state: DoctorRow.State, _ why: String) {
      _ = try? page.append(DoctorRow(subject: subject, state: state, why: why))
    }
    switch Self.tryMediatedPath(opener) {
    case nil: row("path mediated", .works, "one allowed and one refused instruction behaved so")
    case .some(let why): row("path mediated", .refused, why)
    }
    doctorRing(row, for: caller)
    switch (direct, directObstacle) {
    case (.some(let direct), _): row("path direct", .works, Self.text(of: direct.kernel))
    case (nil, let obstacle): row("path direct", .refused, obstacle?.text ?? "it is not loaded")
    }
    switch handoverObstacle {
    case nil: row("path handover", .works, "a notified call was acted on, one was let through, a socket was taken back")
    case .some(let why): row("path handover", .refused, why)
    }
    if processEvents != nil {
      row("fork events", .works, "the proc connector shows every fork, exec and exit")
    } else {
      row(
        "fork events", .refused,
        "the proc connector needs the initial pid and user namespace, and CAP_NET_ADMIN or Linux 6.6; descent is shown by "
          + "the inherited channel, which is weaker"
      )
    }
    do throws(SystemError) {
      _ = try ProcessPin(pid: caller.pid)
      row("process identity", .works, "pidfd, start time and a witness of the program image")
    } catch { row("process identity", .refused, "\(error)") }
    row(
      "other users' processes", Confinement.effectiveUID == 0 || canTraceOthers ? .works : .refused,
      Confinement.effectiveUID == 0 || canTraceOthers
        ? "the broker may look at processes of every user"
        : "only processes of the broker's own user; other users need a broker with CAP_SYS_PTRACE")
    if let failing = journal.counters.failing {
      row("audit journal", .refused, "writing fails with \(SystemError.symbol(of: failing)); grants are denied")
    } else {
      row("audit journal", .works, configuration.stateDirectory)
    }
    doctorKey(row)
    return page
  }

  /// Whether the journal's records get out of reach.
  private func doctorKey(_ row: (String, DoctorRow.State, String) -> Void) {
    if let failing = journal.counters.keyFailing {
      row(
        "audit keys", .refused,
        "the key of an epoch that is over cannot be replaced: \(SystemError.symbol(of: failing)); it stays on the disk")
    } else if (try? KeyCard.waiting(directory: configuration.stateDirectory)) != nil {
      row("audit keys", .refused, "the first key still lies beside the journal; `postern audit key` takes it away")
    } else {
      row("audit keys", .works, "each lasts for a second or 1024 records, and the first one is kept elsewhere")
    }
    for feed in feeds.values.sorted(by: { $0.target.name < $1.target.name }) {
      let failing = feed.counters.failing
      row(
        "audit sink \(feed.target.name)", failing == nil ? .works : .refused,
        failing.map { SystemError.symbol(of: $0) + "; what it lacks is in the journal" } ?? "behind the journal")
    }
  }

  private static func text(of kernel: DirectKernel) -> String {
    let counts = kernel.counts
    let loaded =
      counts.programs == 0
      ? "an earlier broker's programs go on"
      : "\(counts.programs) programs loaded in \(counts.loadNanoseconds / 1_000_000) ms, \(counts.attached) attached in "
        + "\(counts.attachNanoseconds / 1_000_000) ms"
    return "\(loaded); \(counts.maps) maps"
  }

  private var canTraceOthers: Bool {
    ((try? Confinement.effectiveCapabilities()) ?? 0) & (1 << UInt64(Capability.sysPtrace.rawValue)) != 0
  }

  /// An entity, an object and a channel of its own: one instruction that is granted, one that is not. nil: both right.
  private static func tryMediatedPath(_ opener: ObjectOpener) -> String? {
    do {
      let entity = try SimulatedEntity(.init())
      let object = ObjectID(rawValue: 1)
      let registers = ObjectDefinition(
        name: "doctor", specification: .bus(BusSpecification(device: .simulated(.registerFile))))
      let generation = try entity.addObject(
        ObjectRecord(id: object, kind: .bus, operations: ObjectKind.bus.operations, exclusive: false, footprint: nil))
      let device = try opener.open(registers, operations: [])
      let pid = Confinement.processID
      // Not pinned: the broker is not dumpable, so that an ordinary user's cannot even look at itself.
      let me = ProcessResource(tgid: UInt32(pid), start: try ProcessPin.startTime(of: pid))
      let now = Clock.boottime()
      _ = try entity.associate(
        AssociationRequest(
          process: me, object: object, application: ApplicationID(rawValue: 1), generation: generation,
          requested: OperationSet([.transfer]), granted: OperationSet([.transfer])), now: now)
      let transfer = Instruction(opcode: .transfer, object: object, operands: Operands(length: 1))
      let write = Instruction(opcode: .write, object: object, operands: Operands(length: 1))
      var held: Grant?
      switch entity.check(transfer, issuer: .process(me), now: now) {
      case .granted(let grant): held = consume grant
      case .refused: return "an instruction that is granted was refused"
      }
      var output = MessageBuffer(capacity: 1)
      let failed: Bool = [UInt8]([0]).withRawSpan { payload in
        output.append { bytes in
          guard let grant = held.take() else { return true }
          if case .done = device.perform(grant, payload: payload, into: &bytes) { return false }
          return true
        }
      }
      guard !failed, output.count == 1 else { return "a granted transfer on the simulated bus failed" }
      switch entity.check(write, issuer: .process(me), now: now) {
      case .refused(.operation): return nil
      default: return "an instruction that is not granted was not refused"
      }
    } catch let refusal as Refusal {
      return "an association was refused: \(refusal.reason.name)"
    } catch { return "\(error)" }
  }
}

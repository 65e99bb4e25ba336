import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Supervision

/// What the numbers in an earlier broker's maps meant.
struct InheritedNames {
  private(set) var objects: [String: (id: ObjectID, digest: UInt64)] = [:]
  private(set) var applications: [String: ApplicationID] = [:]
  private(set) var applicationNames: [ApplicationID: String] = [:]
  private(set) var objectNames: [ObjectID: String] = [:]
  private var grants: [UInt64: UInt64] = [:]

  init(_ kernel: DirectKernel?) {
    guard let kernel, kernel.isInherited else { return }
    for name in kernel.names() {
      let number = UInt32(truncatingIfNeeded: name.number)
      switch name.kind {
      case .object:
        objects[name.text] = (ObjectID(rawValue: number), name.digest)
        objectNames[ObjectID(rawValue: number)] = name.text
      case .application:
        applications[name.text] = ApplicationID(rawValue: number)
        applicationNames[ApplicationID(rawValue: number)] = name.text
      case .grant: grants[name.number] = name.digest
      }
    }
  }

  var lastObject: UInt32 { objectNames.keys.map(\.rawValue).max() ?? 0 }
  var lastApplication: UInt32 { applicationNames.keys.map(\.rawValue).max() ?? 0 }

  func grantDigest(_ application: ApplicationID, _ object: ObjectID) -> UInt64? {
    grants[InheritedNames.number(application, object)]
  }

  static func number(_ application: ApplicationID, _ object: ObjectID) -> UInt64 {
    UInt64(application.rawValue) << 32 | UInt64(object.rawValue)
  }

  /// FNV-1a over what the policy says, so that a later broker knows whether it still says so.
  static func digest(_ values: Any...) -> UInt64 {
    var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in String(describing: values).utf8 { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return digest
  }
}

extension Broker {
  /// An object that an earlier broker's associations may be about: it goes on under its number and generation, or, where
  /// the policy or the device has changed, under the next generation.
  struct KnownObject {
    var id: ObjectID
    var generation: UInt32
    var footprint: EntityFootprint?
  }

  /// Loads the programs of the path direct, or takes over those that an earlier broker has left running.
  static func startDirect(
    _ table: SimulatedEntity, _ configuration: BrokerConfiguration, _ policy: PolicyModel
  ) -> Result<BPFEntity, DirectObstacle> {
    guard Confinement.effectiveUID == 0 else { return .failure(.notRoot) }
    // Loading takes a while, and every hook costs something: only where a grant could use it.
    let wanted = policy.grants.filter { $0.path == .any || $0.path == .only(.direct) }
    guard !wanted.isEmpty || DirectKernel.isPinned(configuration.direct.pins) else { return .failure(.notWanted) }
    let needsSockets = wanted.contains { grant in
      policy.objects.contains { $0.name == grant.object && $0.kind == .socket }
    }
    do {
      let kernel = try DirectKernel(
        objectFile: configuration.direct.objectFile, pins: configuration.direct.pins,
        capacity: configuration.direct.capacity)
      try tryOut(kernel, needsSockets: needsSockets, pins: configuration.direct.pins)
      return .success(
        BPFEntity(table, kernel: kernel) { (process) throws(SystemError) in
          try Broker.kernelName(of: process, kernel)
        })
    } catch { return .failure(DirectObstacle(error)) }
  }

  /// The trial is on a socket. Every hook costs every process of the machine something: those that no grant needs are let
  /// go again, one after the other (each waits for every task, kernel/rcu/tasks.h); the others stand before the first open.
  private static func tryOut(
    _ kernel: DirectKernel, needsSockets: Bool, pins: String
  ) throws(DirectKernel.Failure) {
    do throws(DirectKernel.Failure) {
      try kernel.attach(.files)
      try kernel.attach(.sockets)
      try kernel.tryOut()
    } catch {
      // Nothing rests on what has just been attached, or on what the kernel never asks.
      if !kernel.isInherited || DirectObstacle.asksNoPrograms { try? DirectKernel.unload(pins: pins) }
      throw error
    }
    guard !kernel.isInherited, !needsSockets else { return }
    try? kernel.detach(.sockets)
  }

  /// By number: whoever has it pinned sees whether it was still that process.
  private static func kernelName(of process: ProcessResource, _ kernel: DirectKernel) throws(SystemError)
    -> ProcessResource
  {
    let pidfd = try ProcessPin.handle(of: Int32(bitPattern: process.tgid))
    let named = try kernel.identity(pidfd)
    guard BPFEntity.unknown(named).start == process.start else {
      throw SystemError(errno: ErrorCode.noSuchProcess, operation: "bpf iterator", path: "\(process.tgid)")
    }
    return named
  }

  func knownObject(_ definition: ObjectDefinition) -> KnownObject? {
    guard let direct, let known = inherited.objects[definition.name], objects[known.id] == nil,
      let before = direct.kernel.object(known.id)
    else { return nil }
    let footprint = self.footprint(of: definition)
    let isSame =
      before.present && before.kind == definition.kind && known.digest == InheritedNames.digest(definition)
      && before.footprint == footprint
    return KnownObject(
      id: known.id, generation: isSame ? before.generation : before.generation &+ 1, footprint: footprint)
  }

  /// As a session learns it when it opens the object; nil: nothing to compare, or it is not there.
  private func footprint(of definition: ObjectDefinition) -> EntityFootprint? {
    switch definition.specification {
    case .socket: return nil
    case .disk(let disk):
      guard let opened = try? DiskObject.open(disk, own: opener.own), let found = opened.footprint else { return nil }
      return EntityFootprint(
        device: found.device.device, inode: found.device.inode, offset: found.range?.offset ?? 0,
        length: found.range?.length ?? .max)
    case .bus:
      guard let path = definition.path, let device = DeviceIdentity(path: path) else { return nil }
      return EntityFootprint(device: device.device, inode: device.inode)
    }
  }

  func knownApplication(_ name: String) -> ApplicationID? {
    guard let id = inherited.applications[name], applicationNames[id] == nil else { return nil }
    return id
  }

  func noteName(of object: BrokeredObject) {
    try? direct?.kernel.put(
      DirectName(
        .object, number: UInt64(object.id.rawValue), digest: InheritedNames.digest(object.definition),
        text: object.definition.name))
  }

  func noteName(of application: ApplicationID, _ name: String) {
    try? direct?.kernel.put(DirectName(.application, number: UInt64(application.rawValue), digest: 0, text: name))
  }

  /// What the grant says that an association rests on.
  func noteName(of authorization: Authorization) {
    guard let object = objectIDs[authorization.object] else { return }
    let application = applicationID(authorization.application)
    try? direct?.kernel.put(
      DirectName(
        .grant, number: InheritedNames.number(application, object),
        digest: grantDigest(authorization.application, authorization.object)))
  }

  private func grantDigest(_ application: String, _ object: String) -> UInt64 {
    let rule = policy.grants.first { $0.application == application && $0.object == object }
    let definition = policy.applications.first { $0.name == application }
    return InheritedNames.digest(rule as Any, definition as Any)
  }

  /// What on-exec: keep demands of a program, for the kernel; the path is looked up now.
  func noteExecutable(of application: ApplicationDefinition) {
    let id = applicationID(application.name)
    guard let direct else { return }
    guard let path = application.executable else {
      try? direct.kernel.put(id, executable: nil)
      return
    }
    // A file that is not there is none that anything runs.
    try? direct.kernel.put(
      id, executable: ProcessFacts.identity(path) ?? ProcessFacts.File(device: 0, inode: 0))
  }

  /// Takes over what an earlier broker's associations were: those that the policy of now gives too go on where they are,
  /// the others end, and what was revoked stays so until its process ends.
  func restoreDirect() {
    guard let direct, direct.kernel.isInherited else { return }
    for name in inherited.objectNames where objectIDs[name.value] != name.key {
      // Its object is none of the policy's any more.
      try? direct.kernel.forgetObject(name.key)
    }
    let running = runningProcesses(direct)
    // First what ended holders prove: what was exclusively theirs may be a child's by now.
    for found in restoreEvidence(direct.kernel.records(), running, direct) { restore(found, direct) }
    seedTree(running)
    noteRevokedLines(running)
    if !revokedLines.isEmpty { storeRevokes() }
    for process in authority.revokes.flatMap({ $0.processes ?? [] }) + revokedLines.values {
      barNamed(process)
    }
    takeOverBound()
    _ = startRecall(recallTargets(formerly: { $0.path == .direct }), deadline: Clock.boottime() + 1_000_000_000)
    // What the kernel could not describe while no broker lived.
    lossReportDue = 0
    armTimer()
    if let counters = try? direct.kernel.counters() { refusals += counters.refused }
  }

  private func restore(_ found: DirectRecord, _ direct: BPFEntity) {
    let pid = Int32(bitPattern: found.record.process.tgid)
    guard let asker = pinned(pid), let named = try? direct.kernel.identity(asker.pin.pidfd) else {
      return direct.forget(found)
    }
    guard named == found.record.process else {
      keepThroughExec(found, asker, direct)
      return direct.forget(found)
    }
    let process = asker.subject.process
    func end(_ state: AssociationState) {
      direct.end(found, of: process, as: state)
      let leftover = Leftover(of: found.record.state)
      guard leftover != .nothing else { return }
      noteFormerHolder(
        found.record.object, inherited.applicationNames[found.record.application] ?? "", process, path: .direct,
        mayBeMapped: leftover == .uses && found.options.contains(.mmap), mayBeKilled: leftover == .uses)
    }
    guard found.record.state == .live else {
      return end(found.record.state == .departed ? .dropped : found.record.state)
    }
    switch succession(of: found) {
    case .ended(let state): end(state)
    case .granted(let object, let authorization): restore(found, object, authorization, asker, direct)
    }
  }

  /// What becomes of an earlier broker's association.
  enum Succession {
    case granted(BrokeredObject, Authorization)
    case ended(AssociationState)
  }

  /// Whether the policy of now gives it, too.
  func succession(of found: DirectRecord) -> Succession {
    guard let object = objects[found.record.object],
      let application = inherited.applicationNames[found.record.application]
    else { return .ended(.dropped) }
    guard object.generation == found.record.generation else { return .ended(.stale) }
    guard
      inherited.grantDigest(found.record.application, object.id)
        == grantDigest(application, object.definition.name),
      let authorization = policy.authorization(
        application: application, object: object.definition.name, operations: found.record.operations,
        onFork: ForkRule(rawValue: found.record.onFork) ?? .deny)
    else { return .ended(.dropped) }
    return .granted(object, authorization)
  }

  /// Goes on with it under the table's name of its process.
  func goOn(
    _ found: DirectRecord, _ object: BrokeredObject, _ authorization: Authorization, of process: ProcessResource,
    _ direct: BPFEntity
  ) -> AssociationRecord? {
    guard let limits = limits(of: authorization, on: object) else {
      direct.end(found, of: process, as: .dropped)
      return nil
    }
    defer { entity.release(limits) }
    let wanted = request(found, object, authorization, process, limits)
    // Where it may not it has ended, and its process is told `not-associated`.
    return try? direct.restore(found, wanted, now: found.record.since)
  }

  private func limits(of authorization: Authorization, on object: BrokeredObject) -> LimitsID? {
    var set = authorization.limits
    if object.definition.kind == .disk, let known = object.footprint {
      guard let narrowed = try? set.within(ByteRange(offset: known.offset, length: known.length)) else { return nil }
      set = narrowed
    }
    return try? entity.define(limits: set)
  }

  /// For what it was, until when and since when it was, so that it goes on proving the descent of whom its process has forked.
  private func request(
    _ found: DirectRecord, _ object: BrokeredObject, _ authorization: Authorization, _ process: ProcessResource,
    _ limits: LimitsID
  ) -> AssociationRequest {
    var wanted = request(object, authorization, process, limits: limits, now: found.record.since)
    wanted.expiry = found.record.expiry
    wanted.options = found.options
    return wanted
  }

  /// `on-exec: keep`: its process has executed while no broker lived, and the kernel says that it was this one before.
  private func keepThroughExec(_ found: DirectRecord, _ asker: consuming PinnedAsker, _ direct: BPFEntity) {
    guard found.record.state == .live, found.record.keepsOnExec,
      direct.kernel.previous(asker.pin.pidfd) == found.record.process,
      case .granted(let object, let authorization) = succession(of: found), authorization.onExec == .keep,
      keeps(authorization, asker.subject), let limits = limits(of: authorization, on: object)
    else { return }
    defer { entity.release(limits) }
    let wanted = request(found, object, authorization, asker.subject.process, limits)
    guard let association = try? entity.associate(wanted, now: found.record.since) else { return }
    guard asker.pin.state() == .current, noteHolder(asker.pin.pidfd, association, authorization) else {
      return undo(association)
    }
    goesOn(found, association, object, authorization, asker)
  }

  private func restore(
    _ found: DirectRecord, _ object: BrokeredObject, _ authorization: Authorization, _ asker: consuming PinnedAsker,
    _ direct: BPFEntity
  ) {
    guard let association = goOn(found, object, authorization, of: asker.subject.process, direct) else { return }
    goesOn(found, association, object, authorization, asker)
  }

  private func goesOn(
    _ found: DirectRecord, _ association: AssociationRecord, _ object: BrokeredObject, _ authorization: Authorization,
    _ asker: consuming PinnedAsker
  ) {
    let subject = asker.subject
    let executablePath = asker.executablePath
    let entry = processEntry(subject, executablePath, asker.takePin())
    hold(association, by: entry, authorization, channel: nil, uid: subject.effectiveUID ?? .max)
    if found.options.contains(.lent) { takeSocket(of: object, from: entry, association.id) }
    var restored = record(.grant)
    restored.describe(subject, executablePath: ByteString(executablePath))
    restored.object = ByteString(object.definition.name)
    restored.application = ByteString(authorization.application)
    restored.association = association.id
    restored.operations = association.operations
    restored.path = .direct
    restored.generation = association.generation
    restored.message = "goes on from an earlier broker"
    _ = journal.submit(restored, durability: .none)
  }
}

/// What a living process may still do by a record that an earlier broker has left and that does not go on.
enum Leftover: Hashable {
  /// A promise: its exec has not come, so that nothing of it was ever used.
  case nothing
  /// It had ended before. The process may have closed the object long ago, and what else was to be taken back the earlier
  /// broker has taken back, unless it died meanwhile: only a call that waits since then is left to send back.
  case calls
  /// It ends now: whatever it allowed may be under way, or mapped.
  case uses

  init(of state: AssociationState) {
    switch state {
    case .live: self = .uses
    case .departed: self = .nothing
    case .revoked, .expired, .stale, .dropped: self = .calls
    }
  }
}

extension Broker {
  /// The socket that an earlier broker had open, too, out of the descriptors of somebody who has it.
  private func takeSocket(of object: BrokeredObject, from entry: ProcessEntry, _ association: AssociationID) {
    guard object.isShared, case .socket(let specification) = object.definition.specification else { return }
    if object.shared == nil, let socket = HeldSocket.find(specification, in: entry.pid),
      let opened = try? SocketObject.adopt(specification, socket)
    {
      let session = Session(id: nextSession, objectID: object.id, object: opened)
      nextSession += 1
      session.isTagged = true
      sessions[session.id] = session
      object.shared = session
    }
    object.shared?.users.insert(association)
  }
}

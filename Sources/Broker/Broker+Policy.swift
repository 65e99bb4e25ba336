import Audit
import Authority
import Entity
import Instructions
import Linux
import Policy
import Wire

extension Broker {
  /// Reads the policy file and `policy.d/*.yaml` beside it, in name order.
  static func readPolicy(_ configuration: BrokerConfiguration) throws(BrokerFailure) -> ReadPolicy {
    let files: [PolicyFile]
    do { files = try PolicyFiles.read(configuration.policyFile) } catch { throw .policyFile(error) }
    let own = [configuration.socketPath, configuration.stateDirectory]
    switch PolicyReader.read(files: files, directory: SystemAccounts(), forbiddenPaths: own) {
    case .success(let read): return read
    case .failure(let mistakes): throw .policy(mistakes)
    }
  }

  /// Makes every object and application of the policy known to the entity; at start, before anybody can ask.
  func registerPolicy() throws(BrokerFailure) {
    // Numbers that mean something in the kernel's maps already are nothing else's.
    nextObject = inherited.lastObject + 1
    nextApplication = inherited.lastApplication + 1
    for definition in policy.objects {
      do { try addObject(definition) } catch { throw .system(error) }
    }
    for application in policy.applications { noteExecutable(of: application) }
  }

  func addObject(_ definition: ObjectDefinition) throws(SystemError) {
    let known = knownObject(definition)
    let id = known?.id ?? ObjectID(rawValue: nextObject)
    let generation = try entity.addObject(
      objectRecord(id, definition, footprint: known?.footprint), generation: known?.generation ?? 0)
    nextObject = max(nextObject, id.rawValue + 1)
    let object = BrokeredObject(id: id, definition: definition, generation: generation)
    object.footprint = known?.footprint
    objects[id] = object
    objectIDs[definition.name] = id
    noteName(of: object)
  }

  func objectRecord(_ id: ObjectID, _ definition: ObjectDefinition, footprint: EntityFootprint?) -> ObjectRecord {
    ObjectRecord(
      id: id, kind: definition.kind, operations: definition.availableOperations, exclusive: definition.isExclusive,
      footprint: footprint)
  }

  /// The application's number; the same one as long as the broker runs.
  func applicationID(_ name: String) -> ApplicationID {
    if let id = applicationIDs[name] { return id }
    let id = knownApplication(name) ?? ApplicationID(rawValue: nextApplication)
    nextApplication = max(nextApplication, id.rawValue + 1)
    applicationIDs[name] = id
    applicationNames[id] = name
    noteName(of: id, name)
    return id
  }

  /// - Parameter accepting: the paths beside mediated that the asker can take.
  func machineFacts(accepting: PathSet = []) -> MachineFacts {
    var paths: Set<OperationPath> = [.mediated]
    if accepting.contains(.direct), direct != nil { paths.insert(.direct) }
    if accepting.contains(.ring), ringObstacle == nil { paths.insert(.ring) }
    return MachineFacts(
      pidNamespace: FileIdentity(ProcessFacts.identity("/proc/self/ns/pid")),
      networkNamespace: FileIdentity(ProcessFacts.identity("/proc/self/ns/net")), availablePaths: paths,
      now: Clock.boottime(),
      isBlockDevice: { path in DeviceIdentity(path: path).map { $0.kind == .blockDevice } },
      identity: { path in FileIdentity(ProcessFacts.identity(path)) })
  }

  /// What a reload came to.
  enum ReloadOutcome {
    case done(dropped: Int)
    case mistakes([PolicyMistake])
    case unreadable(SystemError)
  }

  /// Reads the policy again; a wrong one changes nothing. Only associations whose object, application or grant entry
  /// changed end; runtime grants and standing revokes end too.
  func reload(by caller: Caller?) -> ReloadOutcome {
    let read: ReadPolicy
    do throws(BrokerFailure) {
      read = try Broker.readPolicy(configuration)
    } catch {
      var failed = record(.reload)
      failed.errno = ErrorCode.invalid
      if let caller { failed.describe(caller.subject) }
      switch error {
      case .policy(let mistakes):
        failed.message = "the policy has mistakes; the old one stays"
        _ = journal.submit(failed, durability: .none)
        if caller == nil { report(mistakes.mistakes.map(\.line)) }
        return .mistakes(mistakes.mistakes)
      case .policyFile(let failure), .system(let failure), .socket(let failure), .agentSocket(let failure):
        failed.message = ByteString(failure.description)
        failed.errno = failure.errno
        _ = journal.submit(failed, durability: .none)
        if caller == nil { report(["posternd: \(failure); the old policy stays"]) }
        return .unreadable(failure)
      case .journal: return .unreadable(SystemError(errno: ErrorCode.inputOutput, operation: "journal"))
      }
    }
    return .done(dropped: apply(read, by: caller))
  }

  private func apply(_ read: ReadPolicy, by caller: Caller?) -> Int {
    let difference = policy.difference(to: read.model)
    var dropped: [AssociationRecord] = []
    for key in difference.dropped {
      guard let object = objectIDs[key.object], let application = applicationIDs[key.application] else { continue }
      dropped += entity.drop(AssociationSelector(object: object, application: application), as: .dropped)
    }
    for runtime in authority.grants {
      guard let object = objectIDs[runtime.key.object], let application = applicationIDs[runtime.key.application] else {
        continue
      }
      for owner in associationOwners.values
      where owner.object == object && owner.application == application && owner.runtimeGrants.contains(runtime.id) {
        dropped += entity.drop(AssociationSelector(association: owner.id), as: .dropped)
      }
    }
    ended(dropped, cause: .reload, reason: .notAssociated)
    takeBackFromLeavers { leaver in
      difference.dropped.contains {
        objectIDs[$0.object] == leaver.object && (leaver.application ?? $0.application) == $0.application
      }
    }

    policy = read.model
    policyWarnings = read.warnings
    journal.setRedaction(read.model.audit.redact)
    journal.set(read.model.audit.limits)
    feedSinks(after: journal.last)
    let hadRevokes = !authority.revokes.isEmpty
    authority.reload()
    if hadRevokes { storeRevokes() }
    entity.pardon(AssociationSelector())
    for name in difference.removed { removeObject(name) }
    for definition in read.model.objects {
      if let id = objectIDs[definition.name], let object = objects[id] {
        if difference.replaced.contains(definition.name) { replaceObject(object, with: definition) }
        object.definition = definition
      } else {
        do { try addObject(definition) } catch { report(["posternd: \(definition.name): \(error)"]) }
      }
    }
    for application in read.model.applications { noteExecutable(of: application) }
    if !supervisors.isEmpty { publishInterceptTable() }
    var changed = record(.reload)
    if let caller { changed.describe(caller.subject) }
    let missing = missingCapabilities
    if !missing.isEmpty {
      let text = "needs \(missing.joined(separator: ", ")), given up at the start: start the broker again for it"
      changed.message = ByteString("the new policy \(text)")
      report(["posternd: the new policy \(text)"])
    }
    _ = journal.submit(changed, durability: .none)
    return dropped.count
  }

  /// What this policy's objects need and root's broker has given up because the policy of its start did not need it.
  private var missingCapabilities: [String] {
    guard Confinement.effectiveUID == 0, let held = try? Confinement.effectiveCapabilities() else { return [] }
    return Self.capabilities(for: policy, givesObjects: direct != nil)
      .filter { held & (1 << UInt64($0.rawValue)) == 0 }.map(\.name).sorted()
  }

  private func removeObject(_ name: String) {
    guard let id = objectIDs.removeValue(forKey: name), let object = objects.removeValue(forKey: id) else { return }
    do {
      ended(try entity.removeObject(id), cause: .reload, reason: .noSuchObject)
    } catch { report(["posternd: \(name): \(error)"]) }
    closeSessions(of: object)
  }

  /// A new generation: every association of the object becomes `stale`.
  func replaceObject(_ object: BrokeredObject, with definition: ObjectDefinition) {
    do {
      ended(
        try entity.replaceObject(objectRecord(object.id, definition, footprint: nil)), cause: .replaced,
        reason: .stale)
      object.generation = entity.generation(of: object.id) ?? object.generation
    } catch { report(["posternd: \(definition.name): \(error)"]) }
    object.definition = definition
    noteName(of: object)
    closeSessions(of: object)
  }

  /// For people who watch the daemon's standard error; each failure once.
  func report(_ lines: [String]) {
    for line in lines { StandardError.write(line + "\n") }
  }
}

/// Where a policy lies.
public enum PolicyFiles {
  /// The main file, then those of `policy.d` beside it in name order.
  public static func read(_ path: String) throws(SystemError) -> [PolicyFile] {
    let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    let fragments = folder.isEmpty && !path.hasPrefix("/") ? "policy.d" : folder + "/policy.d"
    var files = [try file(path)]
    for path in try RegularFile.paths(in: fragments, suffix: ".yaml") { files.append(try file(path)) }
    return files
  }

  private static func file(_ path: String) throws(SystemError) -> PolicyFile {
    PolicyFile(name: path, bytes: try RegularFile.read(path, limit: PolicyReader.maximumFileSize + 1))
  }
}

extension FileIdentity {
  init?(_ file: ProcessFacts.File?) {
    guard let file else { return nil }
    self.init(device: file.device, inode: file.inode)
  }
}

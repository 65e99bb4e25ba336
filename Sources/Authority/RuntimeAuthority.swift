import Instructions

/// An application and an object by name: what a grant, an association and a drop speak of.
public struct GrantKey: Sendable, Hashable {
  public var application: String
  public var object: String

  public init(application: String, object: String) {
    self.application = application
    self.object = object
  }
}

/// `postern grant`: operations added for new associations, until it expires, is revoked, or the policy is read again.
public struct RuntimeGrant: Sendable, Hashable {
  public var id: UInt64
  public var key: GrantKey
  public var operations: OperationSet
  /// Boottime nanoseconds; nil: until the next reload.
  public var expiry: UInt64?

  public init(id: UInt64, key: GrantKey, operations: OperationSet, expiry: UInt64? = nil) {
    self.id = id
    self.key = key
    self.operations = operations
    self.expiry = expiry
  }

  public func isLive(at now: UInt64) -> Bool {
    guard let expiry else { return true }
    return now < expiry
  }
}

/// What a revoke named and goes on blocking for opens and revalidations, until `grant` or `reload`.
public struct StandingRevoke: Sendable, Hashable {
  public var id: UInt64
  /// nil: every object.
  public var object: String?
  /// nil: every application.
  public var application: String?
  /// The named process resource and its descendants as the caller knows them; nil: everyone. Execs do not free a process.
  public var processes: [ProcessResource]?
  /// What `grant` has freed since.
  public var lifted: Set<GrantKey>

  public init(
    id: UInt64, object: String? = nil, application: String? = nil, processes: [ProcessResource]? = nil,
    lifted: Set<GrantKey> = []
  ) {
    self.id = id
    self.object = object
    self.application = application
    self.processes = processes
    self.lifted = lifted
  }

  /// Whether it blocks `key` for a process with these ancestors.
  public func blocks(_ key: GrantKey, process: ProcessResource, ancestors: [ProcessResource]) -> Bool {
    guard names(key), !lifted.contains(key) else { return false }
    guard let processes else { return true }
    return processes.contains { named in
      named.isSameProcess(as: process) || ancestors.contains { named.isSameProcess(as: $0) }
    }
  }

  /// Whether the object and application of `key` are among what it named.
  func names(_ key: GrantKey) -> Bool {
    (object == nil || object == key.object) && (application == nil || application == key.application)
  }
}

extension ProcessResource {
  /// The same process, whatever it has executed since.
  func isSameProcess(as other: ProcessResource) -> Bool { tgid == other.tgid && start == other.start }
}

/// What administrators have changed since the policy was read: one value, judged together with the policy.
public struct RuntimeAuthority: Sendable, Hashable {
  public private(set) var grants: [RuntimeGrant]
  public private(set) var revokes: [StandingRevoke]

  public init(grants: [RuntimeGrant] = [], revokes: [StandingRevoke] = []) {
    self.grants = grants
    self.revokes = revokes
  }

  /// Adds operations, and lifts every standing revoke for this application and object, and for nothing else.
  public mutating func add(_ grant: RuntimeGrant) {
    grants.append(grant)
    for index in revokes.indices where revokes[index].names(grant.key) { revokes[index].lifted.insert(grant.key) }
    revokes.removeAll { revoke in
      guard let object = revoke.object, let application = revoke.application else { return false }
      return revoke.lifted.contains(GrantKey(application: application, object: object))
    }
  }

  /// Blocks what `revoke` names, and removes the runtime grants that it names wholly (not those of one process) and returns
  /// them.
  public mutating func add(_ revoke: StandingRevoke) -> [RuntimeGrant] {
    // The same again takes the place of the one before, with nothing lifted.
    revokes.removeAll {
      $0.object == revoke.object && $0.application == revoke.application && $0.processes == revoke.processes
    }
    revokes.append(revoke)
    guard revoke.processes == nil else { return [] }
    let ended = grants.filter { revoke.names($0.key) }
    grants.removeAll { revoke.names($0.key) }
    return ended
  }

  /// Adds a process to every revoke that names its parent: called at fork, so that descent need not be known later.
  public mutating func forked(parent: ProcessResource, child: ProcessResource) {
    for index in revokes.indices {
      guard let processes = revokes[index].processes, processes.contains(where: { $0.isSameProcess(as: parent) })
      else { continue }
      revokes[index].processes?.append(child)
    }
  }

  /// Forgets a process that has ended; a revoke that named only ended processes goes too.
  public mutating func exited(_ process: ProcessResource) {
    for index in revokes.indices { revokes[index].processes?.removeAll { $0.isSameProcess(as: process) } }
    revokes.removeAll { $0.processes?.isEmpty == true }
  }

  /// Removes the runtime grants that have ended and returns them.
  public mutating func expire(at now: UInt64) -> [RuntimeGrant] {
    let ended = grants.filter { !$0.isLive(at: now) }
    grants.removeAll { !$0.isLive(at: now) }
    return ended
  }

  /// A reload ends every runtime grant and every standing revoke.
  public mutating func reload() {
    grants = []
    revokes = []
  }
}

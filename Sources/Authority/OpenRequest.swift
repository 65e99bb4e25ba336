import Instructions

/// Through which door an object is asked for; it decides the default fork rule and the possible paths.
public enum OpenDoor: Sendable, Hashable {
  /// `libpostern`, whose programs can revalidate and use every path.
  case library
  /// `postern run` and `postern open`, whose programs hold the object's own descriptor: direct or handover only.
  case run
}

/// A request to open an object, as far as the policy can judge it.
public struct OpenRequest: Sendable, Hashable {
  public var subject: Subject
  public var object: String
  /// Empty: all that is granted.
  public var operations: OperationSet
  public var door: OpenDoor
  /// The asker was forked from a process resource that holds the object or held it then.
  public var descendsFromHolder: Bool
  /// Processes that the asker is known to descend from; a standing revoke of one of them is one of the asker.
  public var ancestors: [ProcessResource]

  public init(
    subject: Subject, object: String, operations: OperationSet = [], door: OpenDoor = .library,
    descendsFromHolder: Bool = false, ancestors: [ProcessResource] = []
  ) {
    self.subject = subject
    self.object = object
    self.operations = operations
    self.door = door
    self.descendsFromHolder = descendsFromHolder
    self.ancestors = ancestors
  }
}

/// What the machine says at the moment of judging; the policy itself only holds names.
public struct MachineFacts {
  /// The identity of the file behind an absolute path (an executable or a namespace), or nil: it could not be found out,
  /// and matches nothing.
  public var identity: (String) -> FileIdentity?
  /// The broker's own.
  public var pidNamespace: FileIdentity?
  /// The broker's own: what `network: host` means.
  public var networkNamespace: FileIdentity?
  /// Whether a path names a block device; nil: it could not be found out.
  public var isBlockDevice: (String) -> Bool?
  /// The paths that work on this machine and that the asker can take; mediated always does.
  public var availablePaths: Set<OperationPath>
  /// Boottime nanoseconds.
  public var now: UInt64

  public init(
    pidNamespace: FileIdentity?, networkNamespace: FileIdentity? = nil,
    availablePaths: Set<OperationPath> = [.mediated], now: UInt64,
    isBlockDevice: @escaping (String) -> Bool? = { _ in nil },
    identity: @escaping (String) -> FileIdentity?
  ) {
    self.pidNamespace = pidNamespace
    self.networkNamespace = networkNamespace
    self.availablePaths = availablePaths
    self.now = now
    self.isBlockDevice = isBlockDevice
    self.identity = identity
  }
}

extension MachineFacts {
  /// For people; `postern doctor` says more.
  static let directUnavailable = "the path direct does not work on this machine, see postern doctor"
  static let ringUnavailable = "the path ring does not work on this machine or for this client, see postern doctor"
}

extension Subject {
  /// Somebody who may not even run, for `can-i`: no process, without a tracer, in the broker's own namespaces.
  ///
  /// A standing revoke of a process does not concern it. A cgroup that is not given matches no selector that names one.
  public static func hypothetical(
    uid: UInt32, gid: UInt32, supplementaryGIDs: [UInt32], executable: FileIdentity?, cgroup: String? = nil,
    facts: MachineFacts
  ) -> Subject {
    Subject(
      process: ProcessResource(tgid: 0, start: 0), effectiveUID: uid, effectiveGID: gid,
      supplementaryGIDs: supplementaryGIDs, executable: executable, cgroup: cgroup, pidNamespace: facts.pidNamespace,
      networkNamespace: facts.networkNamespace, traced: false)
  }
}

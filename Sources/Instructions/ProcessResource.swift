/// One process (its threads share it), named so that neither a reused pid nor an exec can take its place.
public struct ProcessResource: Sendable, Hashable {
  /// Thread group id in the broker's pid namespace.
  public var tgid: UInt32
  /// Changes at each exec.
  public var execEpoch: UInt32
  /// Start time as the entity knows it: clock ticks since boot (proc(5) stat field 22) for the simulated one.
  public var start: UInt64

  public init(tgid: UInt32, start: UInt64, execEpoch: UInt32 = 0) {
    self.tgid = tgid
    self.start = start
    self.execEpoch = execEpoch
  }

  /// The same process, whatever it executes.
  public var anyImage: ProcessResource { ProcessResource(tgid: tgid, start: start) }
}

/// A privileged object's number in the entity. Never reused while the broker runs.
public struct ObjectID: Sendable, Hashable, Comparable, RawRepresentable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static func < (left: ObjectID, right: ObjectID) -> Bool { left.rawValue < right.rawValue }
}

/// An association's number. Never reused while the broker's state lives.
public struct AssociationID: Sendable, Hashable, Comparable, RawRepresentable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static func < (left: AssociationID, right: AssociationID) -> Bool { left.rawValue < right.rawValue }
}

/// An application's number in one generation of the policy.
public struct ApplicationID: Sendable, Hashable, RawRepresentable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

public enum ObjectKind: UInt8, CaseIterable, Sendable, Hashable {
  case socket = 1
  case disk = 2
  case bus = 3

  public var name: String {
    switch self {
    case .socket: "socket"
    case .disk: "disk"
    case .bus: "bus"
    }
  }

  /// The operations that objects of this kind know at all (DESIGN section 6).
  public var operations: OperationSet {
    switch self {
    case .socket:
      OperationSet([.bind, .listen, .accept, .connect, .send, .receive, .shutdown, .getoption, .setoption])
    case .disk: OperationSet([.read, .write, .flush, .discard, .info])
    case .bus: OperationSet([.read, .write, .transfer, .control, .wait])
    }
  }
}

/// How operations travel; the raw value is the code of `postern_abi.h`.
public enum OperationPath: UInt8, CaseIterable, Sendable, Hashable {
  case mediated = 0
  case ring = 1
  case direct = 2
  case handover = 3

  public var name: String {
    switch self {
    case .mediated: "mediated"
    case .ring: "ring"
    case .direct: "direct"
    case .handover: "handover"
    }
  }
}

/// A set of paths; bit N of the raw value is path N.
public struct PathSet: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }
  public init(_ path: OperationPath) { rawValue = 1 << path.rawValue }

  public static let ring = PathSet(.ring)
  public static let direct = PathSet(.direct)

  public func contains(_ path: OperationPath) -> Bool { rawValue & (1 << path.rawValue) != 0 }
}

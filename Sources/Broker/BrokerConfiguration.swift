import Linux

/// Where a broker reads, listens and keeps its state.
public struct BrokerConfiguration: Sendable {
  /// `policy.d/*.yaml` beside it is merged.
  public var policyFile: String
  public var socketPath: String
  public var stateDirectory: String
  public var version: String
  public var seccompAgent: AgentConfiguration?
  public var direct: DirectConfiguration
  /// The arguments with which this program, executed again, holds applications' rings (`RingHandsProcess`); nil: the path
  /// ring is not available.
  public var ringArguments: [String]?

  public init(
    policyFile: String, socketPath: String, stateDirectory: String, version: String,
    seccompAgent: AgentConfiguration? = nil, direct: DirectConfiguration = DirectConfiguration()
  ) {
    self.policyFile = policyFile
    self.socketPath = socketPath
    self.stateDirectory = stateDirectory
    self.version = version
    self.seccompAgent = seccompAgent
    self.direct = direct
  }
}

/// Where the programs of the path direct are, and where they are pinned.
public struct DirectConfiguration: Sendable {
  public var objectFile: String
  public var pins: String
  public var capacity: DirectKernel.Capacity

  public init(
    objectFile: String = StandardPath.kernelPrograms, pins: String = StandardPath.pins,
    capacity: DirectKernel.Capacity = DirectKernel.Capacity()
  ) {
    self.objectFile = objectFile
    self.pins = pins
    self.capacity = capacity
  }
}

/// Where containers' seccomp listeners are taken, see `SeccompAgent`.
public struct AgentConfiguration: Sendable {
  public var path: String
  /// The arguments with which this program, executed again, keeps listeners that are sent to it: argv, with the name
  /// first. It serves the broker's own socket with them.
  public var keeperArguments: [String]

  public init(path: String, keeperArguments: [String]) {
    self.path = path
    self.keeperArguments = keeperArguments
  }
}

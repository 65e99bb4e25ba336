/// Where a broker reads, listens and keeps its state.
public struct BrokerConfiguration: Sendable {
  /// `policy.d/*.yaml` beside it is merged.
  public var policyFile: String
  public var socketPath: String
  public var stateDirectory: String
  public var version: String

  public init(policyFile: String, socketPath: String, stateDirectory: String, version: String) {
    self.policyFile = policyFile
    self.socketPath = socketPath
    self.stateDirectory = stateDirectory
    self.version = version
  }
}

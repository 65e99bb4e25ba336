import Instructions

/// A file's identity: what `executable:` and exclusiveness compare, never names.
public struct FileIdentity: Sendable, Hashable {
  public var device: UInt64
  public var inode: UInt64

  public init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }
}

/// What the broker found out about an asker while it held it pinned. A nil is "could not be found out", and matches nothing.
public struct Subject: Sendable, Hashable {
  public var process: ProcessResource
  public var effectiveUID: UInt32?
  public var effectiveGID: UInt32?
  public var supplementaryGIDs: [UInt32]
  public var executable: FileIdentity?
  /// As in /proc/PID/cgroup for the unified hierarchy, or the systemd one.
  public var cgroup: String?
  /// /proc/PID/ns/pid
  public var pidNamespace: FileIdentity?
  public var networkNamespace: FileIdentity?
  public var traced: Bool?

  public init(
    process: ProcessResource, effectiveUID: UInt32? = nil, effectiveGID: UInt32? = nil,
    supplementaryGIDs: [UInt32] = [], executable: FileIdentity? = nil, cgroup: String? = nil,
    pidNamespace: FileIdentity? = nil, networkNamespace: FileIdentity? = nil, traced: Bool? = nil
  ) {
    self.process = process
    self.effectiveUID = effectiveUID
    self.effectiveGID = effectiveGID
    self.supplementaryGIDs = supplementaryGIDs
    self.executable = executable
    self.cgroup = cgroup
    self.pidNamespace = pidNamespace
    self.networkNamespace = networkNamespace
    self.traced = traced
  }
}

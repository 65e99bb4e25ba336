import Instructions

/// A system call that the kernel refuses for want of a privilege which Postern could have supplied.
struct RefusedCall: Sendable, Hashable {
  enum Subject: Sendable, Hashable {
    /// A port below net.ipv4.ip_unprivileged_port_start.
    case port(NetworkAddress, isStream: Bool)
    case rawSocket(NetworkAddress.Family, ipProtocol: UInt8)
    case packetSocket
    case device(Device)
  }

  struct Device: Sendable, Hashable {
    /// Without symbolic links.
    var path: String
    var isBlock: Bool
    /// The name of its class in sysfs(5), such as `tty`; empty where it is not known.
    var subsystem: String
    var reads: Bool
    var writes: Bool
  }

  var subject: Subject
  /// The effective user's name, or number where there is none.
  var user: String
  /// The calling process's file.
  var executable: String
}

/// What was seen of a program that ran with nothing granted.
struct Observed: Sendable {
  /// In the order in which they were first made, each once.
  var refused: [RefusedCall] = []
  /// Calls of which memory or descriptors could not be looked at.
  var unseen = 0
  /// As a shell tells it.
  var status: Int32 = 0
  /// Processes that it started were still there when it had ended.
  var goesOn = false

  mutating func note(_ call: RefusedCall) {
    if !refused.contains(call) { refused.append(call) }
  }
}

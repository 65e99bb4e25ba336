/// What a container runtime tells a seccomp agent with a listener: the container process state of the OCI runtime
/// specification (config-linux.md, "The Container Process State").
///
/// Read strictly, because it names which of the attached descriptors is the listener. All else in it is for people: it is
/// what the runtime says, and nothing is decided by it.
struct ContainerProcessState: Hashable, Sendable {
  enum Mistake: Error, Hashable, CustomStringConvertible {
    case json(JSONReader.Mistake)
    case missing(String)
    case tooLong
    /// `fds` names the listener not exactly once.
    case listeners(Int)
    /// `fds` names another number of descriptors than came.
    case descriptors(named: Int, attached: Int)
    case pid(Int64)

    var description: String {
      switch self {
      case .json(let mistake): "it is not the JSON that is expected: \(mistake)"
      case .missing(let key): "it lacks \(key)"
      case .tooLong: "it is longer than \(ContainerProcessState.maximumSize) bytes"
      case .listeners(let count): "it names \(count) descriptors seccompFd, not one"
      case .descriptors(let named, let attached): "it names \(named) descriptors, and \(attached) came"
      case .pid(let pid): "\(pid) is no process id"
      }
    }
  }

  /// Bytes; annotations are in it, for which orchestrators allow 256 KiB.
  static let maximumSize = 512 << 10
  /// The kernel's own limit for one message (SCM_MAX_FD, unix(7)).
  static let maximumDescriptors = 253

  var ociVersion: String
  /// The names of the descriptors, in their order.
  var fds: [String]
  /// As the runtime sees it.
  var pid: Int32
  var metadata: String?
  var containerID: String
  var bundle: String?
  /// Which of the attached descriptors is the listener.
  var listenerIndex: Int

  /// Reads a whole message.
  ///
  /// - Parameter attached: how many descriptors came with it.
  init(decoding bytes: [UInt8], attached: Int) throws(Mistake) {
    guard bytes.count <= Self.maximumSize else { throw .tooLong }
    var fields = Fields()
    do {
      var reader = JSONReader(bytes)
      try reader.object { (key, reader) throws(JSONReader.Mistake) in try fields.read(key, from: &reader) }
      try reader.end()
    } catch { throw .json(error) }
    guard let version = fields.ociVersion else { throw .missing("ociVersion") }
    guard let pid = fields.pid else { throw .missing("pid") }
    guard fields.hasState else { throw .missing("state") }
    guard let id = fields.containerID else { throw .missing("state.id") }
    guard pid > 0, let number = Int32(exactly: pid) else { throw .pid(pid) }
    let listeners = fields.fds.indices.filter { fields.fds[$0] == "seccompFd" }
    guard let listener = listeners.first, listeners.count == 1 else { throw .listeners(listeners.count) }
    guard fields.fds.count == attached else { throw .descriptors(named: fields.fds.count, attached: attached) }
    ociVersion = version
    fds = fields.fds
    self.pid = number
    metadata = fields.metadata
    containerID = id
    bundle = fields.bundle
    listenerIndex = listener
  }

  /// What has been read. Keys that are not known are passed over: the specification may get more.
  private struct Fields {
    var ociVersion: String?
    var fds: [String] = []
    var pid: Int64?
    var metadata: String?
    var hasState = false
    var containerID: String?
    var bundle: String?

    mutating func read(_ key: String, from reader: inout JSONReader) throws(JSONReader.Mistake) {
      switch key {
      case "ociVersion": ociVersion = try reader.string()
      case "fds":
        try reader.array { (reader) throws(JSONReader.Mistake) in
          guard fds.count <= ContainerProcessState.maximumDescriptors else {
            throw .otherKind(expected: "no more than \(ContainerProcessState.maximumDescriptors) names")
          }
          fds.append(try reader.string())
        }
      case "pid": pid = try reader.integer()
      case "metadata": metadata = try reader.string()
      case "state":
        hasState = true
        try reader.object { (key, reader) throws(JSONReader.Mistake) in
          switch key {
          case "id": containerID = try reader.string()
          case "bundle": bundle = try reader.string()
          default: try reader.skip()
          }
        }
      default: try reader.skip()
      }
    }
  }
}

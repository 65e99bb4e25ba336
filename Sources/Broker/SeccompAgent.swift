import Instructions
import Linux
import Wire

/// Where container runtimes send the seccomp listeners of their containers: the agent that `linux.seccomp.listenerPath`
/// names (OCI runtime specification, config-linux.md). Confined to the broker's thread.
final class SeccompAgent {
  /// A runtime's connection, which carries one message.
  final class Incoming {
    let id: UInt64
    let socket: PeerDescriptor
    let peer: SenderCredentials
    /// Boottime nanoseconds; later it is closed.
    private(set) var deadline: UInt64
    /// The message is complete and was taken; what still comes is dropped.
    private(set) var isTaken = false
    private var bytes: [UInt8] = []
    private var extent = JSONExtent()
    private var attached = AttachedDescriptors()

    init(id: UInt64, socket: consuming PeerDescriptor, peer: SenderCredentials, deadline: UInt64) {
      self.id = id
      self.socket = socket
      self.peer = peer
      self.deadline = deadline
    }

    enum Progress {
      case incomplete
      case complete(ContainerProcessState)
      case refused(String)
    }

    /// Takes the next piece of the message.
    ///
    /// Complete is what the object's own end says: crun keeps the connection open for as long as the container runs, and
    /// its notifications begin before that.
    func take(_ piece: [UInt8], _ part: inout ReceivedPart) -> Progress {
      guard !part.lostDescriptors else { return .refused("descriptors were lost on the way") }
      if part.descriptors.count > 0 {
        guard bytes.isEmpty else { return .refused("descriptors came with a later part of the message") }
        swap(&attached, &part.descriptors)
      }
      guard bytes.count + piece.count <= ContainerProcessState.maximumSize else {
        return .refused("\(ContainerProcessState.Mistake.tooLong)")
      }
      bytes += piece
      switch extent.take(piece) {
      case .incomplete: return .incomplete
      case .notAnObject: return .refused("it is no JSON object")
      case .complete: break
      }
      do {
        return .complete(try ContainerProcessState(decoding: bytes, attached: attached.count))
      } catch { return .refused("\(error)") }
    }

    /// From now on the runtime has until `deadline` to write what it writes behind the object, such as a line feed: with the
    /// connection closed that would fail, and the container with it.
    func linger(until deadline: UInt64) {
      isTaken = true
      self.deadline = deadline
    }

    /// The descriptor that the message says is the listener; the others are closed with this connection.
    func takeListener(_ state: ContainerProcessState) -> PeerDescriptor? { attached.take(state.listenerIndex) }
  }

  /// Connections at a time; further ones wait in the socket's own queue.
  static let bound = 16
  /// Nanoseconds that a runtime has for its message.
  static let patience: UInt64 = 5_000_000_000
  /// And then for the rest of what it writes.
  static let patienceForRest: UInt64 = 200_000_000

  let path: String
  let listener: Descriptor
  var incoming: [UInt64: Incoming] = [:]
  var nextIncoming: UInt64 = 1
  /// The process that holds every listener too; nil where it has ended.
  var keeper: Descriptor?
  /// The containers whose listeners the keeper has not said anything about, in the order they were sent.
  var submitted: [String] = []

  /// Makes the socket, for root and the broker's own user, and starts the keeper.
  ///
  /// Before the broker confines itself: afterwards it can execute nothing.
  init(path: String, keeperArguments: [String]) throws(SystemError) {
    self.path = path
    listener = try StreamSocket.listen(at: path, mode: 0o600)
    let pair = try MessageSocket.pair()
    try OwnProcess.spawnDetached(keeperArguments, pair.second)
    keeper = consume pair.first
  }

  var isFull: Bool { incoming.count >= Self.bound }

  /// The earliest moment, boottime nanoseconds, at which a connection has taken too long.
  var nextDeadline: UInt64? { incoming.values.map(\.deadline).min() }

  /// Sends the keeper a copy of a listener; false: there is none any more.
  func keep(_ listener: Int32, of container: String) -> Bool {
    guard let number = keeper.numbers.first else { return false }
    // Which calls a container's own filter notifies of is not known here.
    let message = [NotifiedCalls.all.rawValue]
    let sent = message.withRawSpan { span in try? MessageSocket.send(number, span, descriptor: listener) }
    guard case .ready? = sent else { return false }
    submitted.append(container)
    return true
  }
}

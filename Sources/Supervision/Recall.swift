import Authority
import Instructions
import Linux

/// Takes back what was handed over, as far as the kernel lets anybody.
///
/// The broker keeps no duplicate of a program's socket: it would hold the port after the program has closed it. So the
/// socket is looked for in the processes that hold it; it is one socket for all that share it, so finding it once is
/// enough.
public struct Recall: Sendable {
  /// One association that has been dropped from the table.
  public struct Target: Sendable {
    public var association: AssociationID
    public var object: ObjectID
    public var definition: ObjectDefinition
    public var network: UInt64?
    public var holder: ProcessResource
    /// The holder and everything that may have the descriptor from it.
    public var processes: [Int32]
    /// `on-stuck-revoke: kill`
    public var killsStuck: Bool

    public init(
      association: AssociationID, object: ObjectID, definition: ObjectDefinition, network: UInt64?,
      holder: ProcessResource, processes: [Int32], killsStuck: Bool
    ) {
      self.association = association
      self.object = object
      self.definition = definition
      self.network = network
      self.holder = holder
      self.processes = processes
      self.killsStuck = killsStuck
    }
  }

  public enum Outcome: Sendable, Hashable {
    case recalled
    case running
    case cannotRecall(String)
  }

  let targets: [Target]
  let supervisors: [Supervisor]
  /// Boottime nanoseconds.
  let deadline: UInt64

  /// Starts it on a thread of its own; `done` is called there, once, with an outcome for each target in their order.
  public static func start(
    _ targets: [Target], supervisors: [Supervisor], deadline: UInt64,
    done: @escaping @Sendable ([Outcome]) -> Void
  ) throws(SystemError) {
    let recall = Recall(targets: targets, supervisors: supervisors, deadline: deadline)
    _ = try Thread("recall") { done(recall.targets.map { recall.outcome(of: $0) }) }
  }

  private func outcome(of target: Target) -> Outcome {
    // A bind that was checked before the association was dropped may still be under way.
    while supervisors.contains(where: { $0.isPerforming(target.object, target.holder) }) {
      guard Clock.boottime() < deadline else { return .running }
      Clock.sleep(nanoseconds: 200_000)
    }
    var holding: [Int32] = []
    var stuck = ""
    // By cookie: whoever shares a socket that was taken back has nothing left of it.
    var taken: Set<UInt64> = []
    for pid in target.processes {
      switch recall(target, in: pid, &taken) {
      case .nothing: break
      case .recalled: break
      case .stuck(let why):
        stuck = why
        holding.append(pid)
      }
    }
    guard !holding.isEmpty else { return .recalled }
    guard target.killsStuck else { return .cannotRecall(stuck) }
    return kill(holding) ? .recalled : .cannotRecall("\(stuck); it could not be ended either")
  }

  private enum Found {
    case nothing
    case recalled
    case stuck(String)
  }

  private func recall(_ target: Target, in pid: Int32, _ taken: inout Set<UInt64>) -> Found {
    guard let numbers = try? ProcessDescriptors.numbers(of: pid) else { return .nothing }
    guard let process = try? ProcessPin.handle(of: pid) else { return .nothing }
    var found = Found.nothing
    for number in numbers {
      switch target.definition.specification {
      case .socket(let specification):
        guard ProcessDescriptors.isSocket(number, of: pid),
          let socket = try? ProcessDescriptors.fetch(number, from: process),
          let description = try? SocketDescription(of: socket),
          description.network == target.network,
          Self.isObject(specification, description, isConnected: socket.isConnected)
        else { continue }
        if !taken.contains(description.cookie) {
          guard !description.isFilterLocked else {
            try? socket.recallSocket()
            return .stuck("the program has locked a filter of its own on the socket, so that it can listen again")
          }
          do { try socket.recallSocket() } catch { return .stuck("\(error)") }
          taken.insert(description.cookie)
        }
        switch specification.endpoint {
        case .tcp, .udp, .unix: found = .recalled
        case .raw, .packet:
          return .stuck("receiving has ended; the kernel has no means against sending on a raw or packet socket")
        }
      case .disk, .bus:
        guard let path = target.definition.path, let device = DeviceIdentity(path: path),
          ProcessDescriptors.leads(number, of: pid, to: device)
        else { continue }
        return .stuck("the program has the device open, and the kernel has no means against that")
      }
    }
    return found
  }

  /// Connections that were accepted have the same address, but a peer: they are the application's own.
  private static func isObject(
    _ specification: SocketSpecification, _ socket: SocketDescription, isConnected: Bool
  ) -> Bool {
    switch specification.endpoint {
    case .tcp(let address):
      return socket.isStream && socket.ipProtocol == 6 && socket.address == address && !isConnected
    case .udp(let address): return socket.isDatagram && socket.ipProtocol == 17 && socket.address == address
    case .unix(let path):
      return socket.isUnix && socket.isListening && socket.lastComponent == SocketName.lastComponent(path)
    case .raw(let family, let number):
      return socket.isInternet(family, mapped: false) && socket.isRaw && socket.ipProtocol == Int32(number)
    case .packet: return socket.isPacket
    }
  }

  private func kill(_ pids: [Int32]) -> Bool {
    var all = true
    for pid in pids {
      guard let process = try? ProcessPin.handle(of: pid) else { continue }
      all = (try? ProcessDescriptors.kill(process, until: deadline)) == true && all
    }
    return all
  }
}

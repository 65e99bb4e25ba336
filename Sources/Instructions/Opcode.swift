/// What a semi-privileged instruction asks for; the raw value is the opcode of `postern_abi.h`.
public enum Opcode: UInt8, CaseIterable, Sendable, Hashable {
  case read = 0
  case write = 1
  case flush = 2
  case discard = 3
  case info = 4
  case bind = 5
  case listen = 6
  case accept = 7
  case connect = 8
  case send = 9
  case receive = 10
  case shutdown = 11
  case getoption = 12
  case setoption = 13
  case transfer = 14
  case control = 15
  case wait = 16

  /// The word that policies, commands and journals use.
  public var name: String {
    switch self {
    case .read: "read"
    case .write: "write"
    case .flush: "flush"
    case .discard: "discard"
    case .info: "info"
    case .bind: "bind"
    case .listen: "listen"
    case .accept: "accept"
    case .connect: "connect"
    case .send: "send"
    case .receive: "receive"
    case .shutdown: "shutdown"
    case .getoption: "getoption"
    case .setoption: "setoption"
    case .transfer: "transfer"
    case .control: "control"
    case .wait: "wait"
    }
  }

  /// The opcode that a policy's or command line's word names, or nil.
  public init?(name: some StringProtocol) {
    guard let opcode = Opcode.allCases.first(where: { $0.name == name }) else { return nil }
    self = opcode
  }
}

/// A set of opcodes; bit N of the raw value is opcode N.
public struct OperationSet: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(_ opcode: Opcode) { rawValue = 1 << UInt32(opcode.rawValue) }
  public init(_ opcodes: some Sequence<Opcode>) {
    rawValue = opcodes.reduce(0) { $0 | 1 << UInt32($1.rawValue) }
  }

  /// Every opcode that exists.
  public static let all = OperationSet(Opcode.allCases)

  public func contains(_ opcode: Opcode) -> Bool { rawValue & (1 << UInt32(opcode.rawValue)) != 0 }

  /// The members in opcode order.
  public var opcodes: [Opcode] { Opcode.allCases.filter { contains($0) } }

  /// The members' words in opcode order.
  public var names: [String] { opcodes.map(\.name) }
}

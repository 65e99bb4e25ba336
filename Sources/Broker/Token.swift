/// What an epoll token means: a class in the upper byte, a number below.
enum Token {
  case listener
  case witness
  case effects
  case journal
  case signals
  case timer
  case supervision
  case connection(UInt64)
  case channel(UInt64)
  case session(UInt64)
  case seccompAgent
  case listenerKeeper
  case runtime(UInt64)
  case kernelEvents
  case ring(UInt64)
  case ringHands
  case revokeStore

  private static let shift: UInt64 = 56

  var rawValue: UInt64 {
    switch self {
    case .listener: 1 << Self.shift
    case .witness: 2 << Self.shift
    case .effects: 3 << Self.shift
    case .journal: 4 << Self.shift
    case .signals: 5 << Self.shift
    case .timer: 6 << Self.shift
    case .supervision: 10 << Self.shift
    case .connection(let id): 7 << Self.shift | id
    case .channel(let id): 8 << Self.shift | id
    case .session(let id): 9 << Self.shift | id
    case .seccompAgent: 11 << Self.shift
    case .listenerKeeper: 12 << Self.shift
    case .runtime(let id): 13 << Self.shift | id
    case .kernelEvents: 14 << Self.shift
    case .ring(let id): 15 << Self.shift | id
    case .ringHands: 16 << Self.shift
    case .revokeStore: 17 << Self.shift
    }
  }

  init?(rawValue: UInt64) {
    let id = rawValue & (1 << Self.shift - 1)
    switch rawValue >> Self.shift {
    case 1: self = .listener
    case 2: self = .witness
    case 3: self = .effects
    case 4: self = .journal
    case 5: self = .signals
    case 6: self = .timer
    case 10: self = .supervision
    case 7: self = .connection(id)
    case 8: self = .channel(id)
    case 9: self = .session(id)
    case 11: self = .seccompAgent
    case 12: self = .listenerKeeper
    case 13: self = .runtime(id)
    case 14: self = .kernelEvents
    case 15: self = .ring(id)
    case 16: self = .ringHands
    case 17: self = .revokeStore
    default: return nil
    }
  }
}

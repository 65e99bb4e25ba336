import Instructions

/// What a client asks on the control connection.
public enum Request: Sendable, Hashable {
  case hello(Hello)
  case open(Open)
  /// The nonce of a `challenge`, from the same process, still pinned.
  case confirm(Nonce)
  /// Comes with one attached descriptor: the channel that a forked child inherited.
  case adopt
  /// Ask for an association of one's own on the channel that `opened` or `adopted` named.
  case revalidate(channel: UInt64)
  case status
  case doctor
  case objects(ObjectQuery)
  case associations(AssociationQuery)
  case canI(CanI)
  case revoke(Revoke)
  case grant(GrantOrder)
  case reload
  case auditRead(AuditRead)
  /// What `postern run` would get: see `PlanRow`.
  case plan(PlanQuery)
  /// Comes with one attached descriptor: a seccomp listener, for the broker to answer its notifications.
  case supervise(NotifiedCalls)
  /// Comes with one attached descriptor: the file that the asker's exec is going to run.
  case handOver(HandOver)
  /// On the paths direct and ring: ask for an association of one's own for an object that one's ancestor holds.
  case revalidateObject(String)
  /// Give up one's own association on the paths direct and ring.
  case release(AssociationID, ring: UInt64)
  /// Answers `ringWanted`, from the same process, still pinned: its disabled ring.
  case enrol(Enrol)

  /// Even; the answers are odd.
  public enum Kind: UInt16, CaseIterable, Sendable, Hashable {
    case hello = 2
    case open = 4
    case confirm = 6
    case adopt = 8
    case revalidate = 10
    case status = 12
    case doctor = 14
    case objects = 16
    case associations = 18
    case canI = 20
    case revoke = 22
    case grant = 24
    case reload = 26
    case auditRead = 28
    case plan = 30
    case supervise = 32
    case handOver = 34
    case revalidateObject = 36
    case release = 38
    case enrol = 40

    /// How many descriptors are attached to a message of this kind, exactly.
    public var descriptors: Int {
      switch self {
      case .adopt, .supervise, .handOver: 1
      default: 0
      }
    }
  }

  public var kind: Kind {
    switch self {
    case .hello: .hello
    case .open: .open
    case .confirm: .confirm
    case .adopt: .adopt
    case .revalidate: .revalidate
    case .status: .status
    case .doctor: .doctor
    case .objects: .objects
    case .associations: .associations
    case .canI: .canI
    case .revoke: .revoke
    case .grant: .grant
    case .reload: .reload
    case .auditRead: .auditRead
    case .plan: .plan
    case .supervise: .supervise
    case .handOver: .handOver
    case .revalidateObject: .revalidateObject
    case .release: .release
    case .enrol: .enrol
    }
  }
}

extension Request {
  /// The message's bytes. Errors: a string or value outside its documented bounds, or request id 0.
  public func encode(id: UInt64) throws(WireError) -> [UInt8] {
    try ControlHeader.encode(type: kind.rawValue, requestID: id) { (encoder: inout FieldEncoder) throws(WireError) in
      switch self {
      case .hello(let value): try value.encode(into: &encoder)
      case .open(let value): try value.encode(into: &encoder)
      case .confirm(let nonce): nonce.encode(into: &encoder)
      case .adopt, .status, .doctor, .reload: break
      case .revalidate(let channel): encoder.u64(channel)
      case .objects(let value): try value.encode(into: &encoder)
      case .associations(let value): try value.encode(into: &encoder)
      case .canI(let value): try value.encode(into: &encoder)
      case .revoke(let value): try value.encode(into: &encoder)
      case .grant(let value): try value.encode(into: &encoder)
      case .auditRead(let value): value.encode(into: &encoder)
      case .plan(let value): try value.encode(into: &encoder)
      case .supervise(let calls): encoder.calls(calls)
      case .handOver(let value): try value.encode(into: &encoder)
      case .revalidateObject(let name): try encoder.name(name)
      case .release(let association, let ring):
        encoder.u64(association.rawValue)
        encoder.u64(ring)
      case .enrol(let value): value.encode(into: &encoder)
      }
    }
  }

  /// One whole datagram as a request and its id.
  public static func decode(_ message: Span<UInt8>) throws(WireError) -> (id: UInt64, request: Request) {
    let header = try ControlHeader(decoding: message)
    guard let kind = Kind(rawValue: header.type) else { throw .unknownType }
    var decoder = FieldDecoder(offset: ControlHeader.size, end: message.count)
    let request: Request =
      switch kind {
      case .hello: .hello(try Hello(from: &decoder, message))
      case .open: .open(try Open(from: &decoder, message))
      case .confirm: .confirm(try Nonce(from: &decoder, message))
      case .adopt: .adopt
      case .revalidate: .revalidate(channel: try decoder.u64(message))
      case .status: .status
      case .doctor: .doctor
      case .objects: .objects(try ObjectQuery(from: &decoder, message))
      case .associations: .associations(try AssociationQuery(from: &decoder, message))
      case .canI: .canI(try CanI(from: &decoder, message))
      case .revoke: .revoke(try Revoke(from: &decoder, message))
      case .grant: .grant(try GrantOrder(from: &decoder, message))
      case .reload: .reload
      case .auditRead: .auditRead(try AuditRead(from: &decoder, message))
      case .plan: .plan(try PlanQuery(from: &decoder, message))
      case .supervise: .supervise(try decoder.calls(message))
      case .handOver: .handOver(try HandOver(from: &decoder, message))
      case .revalidateObject: .revalidateObject(try decoder.name(message))
      case .release:
        .release(AssociationID(rawValue: try decoder.u64(message)), ring: try decoder.u64(message))
      case .enrol: .enrol(try Enrol(from: &decoder, message))
      }
    guard decoder.offset == message.count else { throw .trailingBytes }
    return (header.requestID, request)
  }
}

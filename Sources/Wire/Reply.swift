import Instructions

/// What the broker answers on the control connection.
public enum Reply: Sendable, Hashable {
  /// Answers any request.
  case refused(RefusedReply)
  /// Answers any request that was allowed but failed, and misuse.
  case failed(Failure)
  case welcome(Welcome)
  /// Answers `open` and `revalidate`: the same process repeats the nonce with `confirm`.
  case challenge(Nonce)
  /// Answers the `confirm` of an `open`; the channel, or on the path direct or handover the object, is attached.
  case opened(Opened)
  /// Answers `adopt`; the new channel is attached.
  case adopted(Adopted)
  /// Answers the `confirm` of a `revalidate` or a `revalidateObject`.
  case revalidated(Revalidated)
  case status(Page<StatusRow>)
  case doctor(Page<DoctorRow>)
  case objects(Page<ObjectRow>)
  case associations(Page<AssociationRow>)
  case verdict(CanIVerdict)
  /// Answers `revoke`. While `next` is not 0 another one follows by itself.
  case revocations(Page<RevocationRow>)
  /// Answers `grant` and a `reload` without mistakes.
  case done
  /// Answers a `reload` that changed nothing. While `next` is not 0 another one follows by itself.
  case mistakes(Page<MistakeRow>)
  /// Answers `auditRead`; `next` is the sequence number to read on after.
  case records(Page<AuditRow>)
  /// Answers `plan`.
  case plan(Page<PlanRow>)
  /// Answers `supervise`; the ledger of notifications is attached.
  case supervised
  /// Answers the `confirm` of an `open` or a `revalidateObject` on the path ring: a disabled ring is to be made, and `enrol` sent.
  case ringWanted(Nonce)
  /// Answers `enrol`: the object is in a slot of the ring.
  case enrolled(Enrolled)

  /// Odd; requests are even.
  public enum Kind: UInt16, CaseIterable, Sendable, Hashable {
    case refused = 1
    case welcome = 3
    case challenge = 5
    case opened = 7
    case adopted = 9
    case revalidated = 11
    case status = 13
    case doctor = 15
    case objects = 17
    case associations = 19
    case verdict = 21
    case revocations = 23
    case done = 25
    case mistakes = 27
    case records = 29
    case failed = 31
    case plan = 33
    case supervised = 35
    case ringWanted = 37
    case enrolled = 39

    /// How many descriptors are attached to a message of this kind, exactly.
    public var descriptors: Int {
      switch self {
      case .opened, .adopted, .supervised: 1
      default: 0
      }
    }
  }

  public var kind: Kind {
    switch self {
    case .refused: .refused
    case .failed: .failed
    case .welcome: .welcome
    case .challenge: .challenge
    case .opened: .opened
    case .adopted: .adopted
    case .revalidated: .revalidated
    case .status: .status
    case .doctor: .doctor
    case .objects: .objects
    case .associations: .associations
    case .verdict: .verdict
    case .revocations: .revocations
    case .done: .done
    case .mistakes: .mistakes
    case .records: .records
    case .plan: .plan
    case .supervised: .supervised
    case .ringWanted: .ringWanted
    case .enrolled: .enrolled
    }
  }
}

extension Reply {
  /// The message's bytes. Errors: a string or value outside its documented bounds, a page too large, or request id 0.
  public func encode(id: UInt64) throws(WireError) -> [UInt8] {
    try ControlHeader.encode(type: kind.rawValue, requestID: id) { (encoder: inout FieldEncoder) throws(WireError) in
      switch self {
      case .refused(let value): try value.encode(into: &encoder)
      case .failed(let value): try value.encode(into: &encoder)
      case .welcome(let value): try value.encode(into: &encoder)
      case .challenge(let nonce), .ringWanted(let nonce): nonce.encode(into: &encoder)
      case .opened(let value): try value.encode(into: &encoder)
      case .adopted(let value): try value.encode(into: &encoder)
      case .revalidated(let value): try value.encode(into: &encoder)
      case .status(let page): try page.encode(into: &encoder)
      case .doctor(let page): try page.encode(into: &encoder)
      case .objects(let page): try page.encode(into: &encoder)
      case .associations(let page): try page.encode(into: &encoder)
      case .verdict(let value): try value.encode(into: &encoder)
      case .revocations(let page): try page.encode(into: &encoder)
      case .done, .supervised: break
      case .mistakes(let page): try page.encode(into: &encoder)
      case .records(let page): try page.encode(into: &encoder)
      case .plan(let page): try page.encode(into: &encoder)
      case .enrolled(let value): try value.encode(into: &encoder)
      }
    }
  }

  /// One whole datagram as a reply and the id of the request that it answers.
  public static func decode(_ message: Span<UInt8>) throws(WireError) -> (id: UInt64, reply: Reply) {
    let header = try ControlHeader(decoding: message)
    guard let kind = Kind(rawValue: header.type) else { throw .unknownType }
    var decoder = FieldDecoder(offset: ControlHeader.size, end: message.count)
    let reply: Reply =
      switch kind {
      case .refused: .refused(try RefusedReply(from: &decoder, message))
      case .failed: .failed(try Failure(from: &decoder, message))
      case .welcome: .welcome(try Welcome(from: &decoder, message))
      case .challenge: .challenge(try Nonce(from: &decoder, message))
      case .opened: .opened(try Opened(from: &decoder, message))
      case .adopted: .adopted(try Adopted(from: &decoder, message))
      case .revalidated: .revalidated(try Revalidated(from: &decoder, message))
      case .status: .status(try Page(from: &decoder, message))
      case .doctor: .doctor(try Page(from: &decoder, message))
      case .objects: .objects(try Page(from: &decoder, message))
      case .associations: .associations(try Page(from: &decoder, message))
      case .verdict: .verdict(try CanIVerdict(from: &decoder, message))
      case .revocations: .revocations(try Page(from: &decoder, message))
      case .done: .done
      case .mistakes: .mistakes(try Page(from: &decoder, message))
      case .records: .records(try Page(from: &decoder, message))
      case .plan: .plan(try Page(from: &decoder, message))
      case .supervised: .supervised
      case .ringWanted: .ringWanted(try Nonce(from: &decoder, message))
      case .enrolled: .enrolled(try Enrolled(from: &decoder, message))
      }
    guard decoder.offset == message.count else { throw .trailingBytes }
    return (header.requestID, reply)
  }
}

import Instructions

extension ObjectDefinition {
  /// Why a ring cannot keep the application to `rule`; nil: it can.
  ///
  /// The kernel sees which request it is, and which slot. Everything else has to be carried by what is in the slot, which also
  /// has to be something that can be taken back by itself, because an application can hold its ring's lock.
  ///
  /// - Parameters:
  ///   - operations: what is asked for.
  ///   - sendTo: the object's limit, narrowed by the grant's.
  public func ringObstacle(_ rule: GrantRule, operations: OperationSet, sendTo: [AddressPattern]?) -> String? {
    switch specification {
    case .bus: return "a bus: nothing takes its device back while the application holds its ring's lock"
    case .disk(let disk):
      for range in [disk.range, rule.range].compactMap(\.self)
      where range.offset % Self.sector != 0 || range.length % Self.sector != 0 {
        return "a range that does not begin and end with a sector of \(Self.sector) bytes: a loop device has whole ones"
      }
      return nil
    case .socket(let socket):
      let options = operations.intersection(OperationSet([.getoption, .setoption]))
      if !options.isEmpty {
        return "\(options.names.joined(separator: ", ")): a ring's requests for that are not checked"
      }
      if operations.contains(.connect) { return "connect: a ring does not see addresses" }
      guard operations.contains(.send) else { return nil }
      switch socket.endpoint {
      case .tcp, .unix: return nil
      case .raw, .packet: return "send: the kernel has no means against sending on a raw or packet socket"
      case .udp(let address):
        let allowed = sendTo ?? []
        if allowed.destination != nil || allowed.contains(where: { $0.coversEverything(of: address.family) }) {
          return nil
        }
        return "send: a ring does not see addresses, so send-to has to allow every one, or exactly one with its port"
      }
    }
  }

  /// Where the socket in the slot has to be connected to, so that what needs no address goes nowhere else; nil: nowhere.
  public func ringDestination(operations: OperationSet, sendTo: [AddressPattern]?) -> NetworkAddress? {
    guard operations.contains(.send), case .socket(let socket) = specification, case .udp = socket.endpoint else {
      return nil
    }
    return sendTo?.destination
  }

  /// Bytes; block/blk-core.c counts a device's size in these.
  private static let sector: UInt64 = 512
}

extension [AddressPattern] {
  /// The only address and port that are allowed; nil: there are others, or none.
  fileprivate var destination: NetworkAddress? {
    guard count == 1, let only = first, Int(only.prefixLength) == only.address.family.bitCount, only.ports.count == 1,
      only.ports.lowerBound != 0
    else { return nil }
    return NetworkAddress(family: only.address.family, bytes: only.address.bytes, port: only.ports.lowerBound)
  }
}

extension AddressPattern {
  /// Whether every address and port of the family is allowed.
  func coversEverything(of family: NetworkAddress.Family) -> Bool {
    address.family == family && prefixLength == 0 && ports == 0...65535
  }
}

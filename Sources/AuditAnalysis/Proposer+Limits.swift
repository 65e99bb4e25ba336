import Audit
import Authority
import Instructions
import Policy

extension Proposer {
  struct Widening {
    var edits: [PolicyEdit]
    var alsoAllows: [String] = []
  }

  /// The least that brings the operands inside the limits. What an object's definition gains is kept from its other grants.
  func limitEdits(
    _ opcode: Opcode, _ rule: GrantRule, _ object: ObjectDefinition, _ limits: LimitSet
  ) -> Result<Widening, Obstacle> {
    let operands = record.operands ?? Operands()
    switch (opcode, object.specification) {
    case (.read, .disk), (.write, .disk), (.discard, .disk): return range(operands, rule, object, limits)
    case (.connect, .socket(let socket)):
      return address(operands, "connect", rule.connect, socket.connect, rule, object) { $0.connect }
    case (.send, .socket(let socket)):
      return address(operands, "send-to", rule.sendTo, socket.sendTo, rule, object) { $0.sendTo }
    case (.setoption, .socket(let socket)):
      guard let option = SocketOption(request: operands.request), let settable = SocketOption(settable: option.name)
      else { return .failure(Obstacle(text: "this option cannot be set through a broker, see postern.yaml(5)")) }
      let item = settable.name
      return .success(
        list(
          "options", item, has: { $0.contains(settable) }, rule.options, socket.options, rule, object,
          text: { $0.name }, of: { $0.options }))
    case (.control, .bus(let bus)):
      guard let kind = bus.controlBus, let control = BusControl(request: operands.request, on: kind) else {
        return .failure(Obstacle(text: "the broker does not know this request of the bus, see postern.yaml(5)"))
      }
      return .success(
        list(
          "ioctls", control.name, has: { $0.contains { $0.request == control.request } }, rule.ioctls, bus.ioctls,
          rule, object, text: { $0.name }, of: { $0.ioctls }))
    default: return .failure(Obstacle(text: "this operation has no limit that a policy could widen"))
    }
  }

  /// Offsets count from the range's start, so a range only grows at its end.
  private func range(
    _ operands: Operands, _ rule: GrantRule, _ object: ObjectDefinition, _ limits: LimitSet
  ) -> Result<Widening, Obstacle> {
    guard case .disk(let disk) = object.specification, let old = limits.range else {
      return .failure(Obstacle(text: "the range is the whole device: what is asked for lies behind its end"))
    }
    let (length, overflow) = operands.offset.addingReportingOverflow(operands.length)
    let new = ByteRange(offset: old.offset, length: length)
    guard !overflow, length > old.length, let end = new.end, end <= UInt64(Int64.max) else {
      return .failure(Obstacle(text: "no range holds these operands"))
    }
    var edits: [PolicyEdit] = []
    if rule.range != nil { edits.append(.setInGrant(rule.key, key: "range", value: new.policyText)) }
    if let whole = disk.range, !whole.contains(new) {
      edits.append(
        .setInObject(
          object.name, key: "range",
          value: ByteRange(offset: whole.offset, length: end - whole.offset).policyText))
      for other in others(rule) where other.range == nil {
        edits.append(.setInGrant(other.key, key: "range", value: whole.policyText))
      }
    }
    var also: [String] = []
    if operands.offset > old.length { also.append("the bytes from \(old.length) to \(operands.offset), too") }
    let besides = rule.operations.intersection(OperationSet([.read, .write, .discard]))
      .subtracting(record.operation.map { OperationSet($0) } ?? [])
    if !besides.isEmpty {
      also.append("\(besides.names.joined(separator: ", ")) of the same bytes, which the grant has one range for")
    }
    return .success(Widening(edits: edits, alsoAllows: also))
  }

  private func others(_ rule: GrantRule) -> [GrantRule] {
    policy.grants.filter { $0.object == rule.object && $0.key != rule.key }
  }

  private func address(
    _ operands: Operands, _ key: String, _ narrow: [AddressPattern]?, _ wide: [AddressPattern], _ rule: GrantRule,
    _ object: ObjectDefinition, of list: (GrantRule) -> [AddressPattern]?
  ) -> Result<Widening, Obstacle> {
    guard let address = operands.address else {
      return .failure(Obstacle(text: "the record has no address"))
    }
    let plain = address.unmapped
    let pattern = AddressPattern(
      address: plain, prefixLength: UInt8(plain.family.bitCount), ports: plain.port...plain.port)
    return .success(
      self.list(
        key, pattern.text.quotedForPolicy, has: { $0.contains { $0.covers(pattern) } }, narrow, wide, rule, object,
        text: { $0.text.quotedForPolicy }, of: list))
  }

  /// An item in a list that the object has and a grant may narrow.
  private func list<Element>(
    _ key: String, _ item: String, has: ([Element]) -> Bool, _ narrow: [Element]?, _ wide: [Element], _ rule: GrantRule,
    _ object: ObjectDefinition, text: (Element) -> String, of list: (GrantRule) -> [Element]?
  ) -> Widening {
    var edits: [PolicyEdit] = []
    if !has(wide) {
      edits.append(.addToObject(object.name, key: key, item: item))
      for other in others(rule) where list(other) == nil {
        edits.append(.setInGrant(other.key, key: key, value: "[\(wide.map(text).joined(separator: ", "))]"))
      }
    }
    if let narrow, !has(narrow) {
      edits.append(.addToGrant(rule.key, key: key, item: item, base: narrow.map(text)))
    }
    return Widening(edits: edits)
  }
}

extension ByteRange {
  var policyText: String { "{ offset: \(offset), length: \(length) }" }
}

extension NetworkAddress {
  /// The IPv4 address that an IPv6 socket reaches through ::ffff:0:0/96 (RFC 4291): policies name it as that.
  fileprivate var unmapped: NetworkAddress {
    guard family == .ipv6, (0..<10).allSatisfy({ bytes[$0] == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF else {
      return self
    }
    var inner = InlineArray<16, UInt8>(repeating: 0)
    for index in 0..<4 { inner[index] = bytes[12 + index] }
    return NetworkAddress(family: .ipv4, bytes: inner, port: port)
  }
}

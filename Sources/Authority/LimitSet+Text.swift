import Instructions

extension LimitSet {
  /// The limit that operands of `opcode` are held against, as the policy writes it; nil: there is none.
  public func text(for opcode: Opcode) -> String? {
    switch opcode {
    case .read, .write, .discard: range.map { "range: { offset: \($0.offset), length: \($0.length) }" }
    case .connect: Self.list("connect", connect?.map(\.text))
    case .send: Self.list("send-to", sendTo?.map(\.text))
    case .setoption: Self.list("options", options?.map(\.name))
    case .control: Self.list("ioctls", controls?.map(\.name))
    default: nil
    }
  }

  private static func list(_ key: String, _ words: [String]?) -> String? {
    words.map { "\(key): [\($0.joined(separator: ", "))]" }
  }
}

extension AddressPattern {
  /// As a policy writes it: `127.0.0.0/8`, `10.0.0.1:53`, `[fe80::]/10:1-9`.
  public var text: String {
    // An address is written with a port behind it; which one does not matter here.
    let whole = NetworkAddress(family: address.family, bytes: address.bytes, port: 0).text
    var text = String(whole.dropLast(2))
    if Int(prefixLength) < address.family.bitCount { text += "/\(prefixLength)" }
    if ports != 0...65535 {
      text += ports.count == 1 ? ":\(ports.lowerBound)" : ":\(ports.lowerBound)-\(ports.upperBound)"
    }
    return text
  }
}

import Instructions

extension FieldEncoder {
  mutating func operations(_ value: OperationSet) throws(WireError) {
    guard value.isSubset(of: .all) else { throw .badValue(.operations) }
    u32(value.rawValue)
  }

  /// 255: nil.
  mutating func path(_ value: OperationPath?) { u8(value?.rawValue ?? .max) }
}

extension FieldDecoder {
  mutating func operations(_ bytes: Span<UInt8>) throws(WireError) -> OperationSet {
    let value = OperationSet(rawValue: try u32(bytes))
    guard value.isSubset(of: .all) else { throw .badValue(.operations) }
    return value
  }

  mutating func optionalPath(_ bytes: Span<UInt8>) throws(WireError) -> OperationPath? {
    let code = try u8(bytes)
    return code == .max ? nil : try value(OperationPath.self, code, .path)
  }

  mutating func path(_ bytes: Span<UInt8>) throws(WireError) -> OperationPath {
    try value(OperationPath.self, try u8(bytes), .path)
  }
}

extension FieldEncoder {
  mutating func calls(_ value: NotifiedCalls) { u8(value.rawValue) }
}

extension FieldDecoder {
  mutating func calls(_ bytes: Span<UInt8>) throws(WireError) -> NotifiedCalls {
    let value = NotifiedCalls(rawValue: try u8(bytes))
    guard value.isSubset(of: .all) else { throw .badValue(.flags) }
    return value
  }
}

extension Hello {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    guard version != 0 else { throw .badValue(.version) }
    encoder.u16(version)
    try encoder.name(client)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    version = try decoder.u16(bytes)
    guard version != 0 else { throw .badValue(.version) }
    client = try decoder.name(bytes)
  }
}

extension Open {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(object)
    try encoder.operations(operations)
    guard accepts.isSubset(of: Open.choices) else { throw .badValue(.path) }
    encoder.u8(0)
    encoder.path(path)
    encoder.u8(accepts.rawValue)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    object = try decoder.name(bytes)
    operations = try decoder.operations(bytes)
    guard try decoder.u8(bytes) == 0 else { throw .badValue(.reserved) }
    path = try decoder.optionalPath(bytes)
    accepts = PathSet(rawValue: try decoder.u8(bytes))
    guard accepts.isSubset(of: Open.choices) else { throw .badValue(.path) }
  }
}

extension Nonce {
  func encode(into encoder: inout FieldEncoder) {
    encoder.u64(low)
    encoder.u64(high)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    low = try decoder.u64(bytes)
    high = try decoder.u64(bytes)
  }
}

extension Enrol {
  func encode(into encoder: inout FieldEncoder) {
    nonce.encode(into: &encoder)
    encoder.u32(ring)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    nonce = try Nonce(from: &decoder, bytes)
    ring = try decoder.u32(bytes)
  }
}

extension ObjectQuery {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(name)
    encoder.u64(cursor)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    name = try decoder.name(bytes)
    cursor = try decoder.u64(bytes)
  }
}

extension AssociationQuery {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(object)
    try encoder.name(application)
    encoder.u32(pid)
    encoder.u64(cursor)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    object = try decoder.name(bytes)
    application = try decoder.name(bytes)
    pid = try decoder.u32(bytes)
    cursor = try decoder.u64(bytes)
  }
}

extension CanI {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.operations(operations)
    try encoder.name(object)
    encoder.flag(uid != nil)
    encoder.u32(uid ?? 0)
    try encoder.string(executable, .executable, atMost: Bounds.text)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    operations = try decoder.operations(bytes)
    object = try decoder.name(bytes)
    let hasUID = try decoder.flag(bytes)
    let number = try decoder.u32(bytes)
    guard hasUID || number == 0 else { throw .badValue(.identity) }
    uid = hasUID ? number : nil
    executable = try decoder.string(bytes, .executable, atMost: Bounds.text)
  }
}

extension Revoke {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(object)
    try encoder.name(application)
    encoder.u32(pid)
    encoder.flag(association != nil)
    encoder.u64(association?.rawValue ?? 0)
    encoder.flag(all)
    encoder.u32(timeout)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    object = try decoder.name(bytes)
    application = try decoder.name(bytes)
    pid = try decoder.u32(bytes)
    let hasAssociation = try decoder.flag(bytes)
    let number = try decoder.u64(bytes)
    guard hasAssociation || number == 0 else { throw .badValue(.identity) }
    association = hasAssociation ? AssociationID(rawValue: number) : nil
    all = try decoder.flag(bytes)
    timeout = try decoder.u32(bytes)
  }
}

extension GrantOrder {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(application)
    try encoder.name(object)
    try encoder.operations(operations)
    encoder.u64(expires)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    application = try decoder.name(bytes)
    object = try decoder.name(bytes)
    operations = try decoder.operations(bytes)
    expires = try decoder.u64(bytes)
  }
}

extension AuditRead {
  func encode(into encoder: inout FieldEncoder) {
    encoder.u8(mode.rawValue)
    encoder.u64(after)
    encoder.u32(limit)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    mode = try decoder.value(Mode.self, try decoder.u8(bytes), .kind)
    after = try decoder.u64(bytes)
    limit = try decoder.u32(bytes)
  }
}

extension PlanQuery {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(object)
    encoder.u64(cursor)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    object = try decoder.name(bytes)
    cursor = try decoder.u64(bytes)
  }
}

extension HandOver {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(object)
    try encoder.operations(operations)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    object = try decoder.name(bytes)
    operations = try decoder.operations(bytes)
  }
}

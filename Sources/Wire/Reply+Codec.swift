import Instructions

extension FieldEncoder {
  mutating func refusal(_ reason: Reason?, _ detail: RefusalDetail, errno: Int32) throws(WireError) {
    guard reason != nil ? errno > 0 : errno == 0 && detail == .none else { throw .badValue(.errno) }
    u16(reason?.rawValue ?? 0)
    u16(detail.rawValue)
    i32(errno)
  }
}

extension FieldDecoder {
  mutating func refusal(
    _ bytes: Span<UInt8>
  ) throws(WireError) -> (reason: Reason?, detail: RefusalDetail, errno: Int32) {
    let code = try u16(bytes)
    let reason = code == 0 ? nil : try value(Reason.self, code, .reason)
    let detail = try value(RefusalDetail.self, try u16(bytes), .detail)
    let errno = try i32(bytes)
    guard reason != nil ? errno > 0 : errno == 0 && detail == .none else { throw .badValue(.errno) }
    return (reason, detail, errno)
  }
}

extension RefusedReply {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.refusal(refusal.reason, refusal.detail, errno: errno)
    try encoder.string(refusal.message, .message, atMost: Bounds.text)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    let (reason, detail, errno) = try decoder.refusal(bytes)
    guard let reason else { throw .badValue(.reason) }
    let message = try decoder.string(bytes, .message, atMost: Bounds.text)
    self.init(Refusal(reason, detail: detail, message: message), errno: errno)
  }
}

extension Failure {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    guard errno > 0 else { throw .badValue(.errno) }
    encoder.i32(errno)
    try encoder.text(text)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    errno = try decoder.i32(bytes)
    guard errno > 0 else { throw .badValue(.errno) }
    text = try decoder.text(bytes)
  }
}

extension Welcome {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    guard version != 0 else { throw .badValue(.version) }
    guard features.rawValue & ~Features.defined == 0 else { throw .badValue(.features) }
    encoder.u16(version)
    try encoder.name(broker)
    encoder.u64(features.rawValue)
    encoder.flag(admin)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    version = try decoder.u16(bytes)
    guard version != 0 else { throw .badValue(.version) }
    broker = try decoder.name(bytes)
    features = Features(rawValue: try decoder.u64(bytes))
    guard features.rawValue & ~Features.defined == 0 else { throw .badValue(.features) }
    admin = try decoder.flag(bytes)
  }
}

extension Opened {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    encoder.u64(association.rawValue)
    encoder.u64(channel)
    encoder.u32(object.rawValue)
    encoder.u8(kind.rawValue)
    encoder.path(path)
    try encoder.operations(operations)
    encoder.u32(generation)
    encoder.u64(expiry)
    encoder.u64(rangeLength)
    encoder.u32(maximumPayload)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    association = AssociationID(rawValue: try decoder.u64(bytes))
    channel = try decoder.u64(bytes)
    object = ObjectID(rawValue: try decoder.u32(bytes))
    kind = try decoder.value(ObjectKind.self, try decoder.u8(bytes), .kind)
    path = try decoder.path(bytes)
    operations = try decoder.operations(bytes)
    generation = try decoder.u32(bytes)
    expiry = try decoder.u64(bytes)
    rangeLength = try decoder.u64(bytes)
    maximumPayload = try decoder.u32(bytes)
  }
}

extension Enrolled {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    encoder.u64(association.rawValue)
    encoder.u32(object.rawValue)
    encoder.u8(kind.rawValue)
    encoder.u32(slot)
    try encoder.operations(operations)
    encoder.u32(generation)
    encoder.u64(expiry)
    encoder.u64(rangeLength)
    encoder.u64(opcodes)
    encoder.u64(ring)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    association = AssociationID(rawValue: try decoder.u64(bytes))
    object = ObjectID(rawValue: try decoder.u32(bytes))
    kind = try decoder.value(ObjectKind.self, try decoder.u8(bytes), .kind)
    slot = try decoder.u32(bytes)
    operations = try decoder.operations(bytes)
    generation = try decoder.u32(bytes)
    expiry = try decoder.u64(bytes)
    rangeLength = try decoder.u64(bytes)
    opcodes = try decoder.u64(bytes)
    ring = try decoder.u64(bytes)
  }
}

extension Adopted {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    encoder.u64(channel)
    encoder.u32(object.rawValue)
    encoder.u8(kind.rawValue)
    encoder.path(path)
    try encoder.operations(operations)
    encoder.u32(generation)
    encoder.u64(rangeLength)
    encoder.u32(maximumPayload)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    channel = try decoder.u64(bytes)
    object = ObjectID(rawValue: try decoder.u32(bytes))
    kind = try decoder.value(ObjectKind.self, try decoder.u8(bytes), .kind)
    path = try decoder.path(bytes)
    operations = try decoder.operations(bytes)
    generation = try decoder.u32(bytes)
    rangeLength = try decoder.u64(bytes)
    maximumPayload = try decoder.u32(bytes)
  }
}

extension Revalidated {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    encoder.u64(association.rawValue)
    try encoder.operations(operations)
    encoder.u32(generation)
    encoder.u64(expiry)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    association = AssociationID(rawValue: try decoder.u64(bytes))
    operations = try decoder.operations(bytes)
    generation = try decoder.u32(bytes)
    expiry = try decoder.u64(bytes)
  }
}

extension CanIVerdict {
  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.refusal(reason, detail, errno: errno)
    try encoder.name(application)
    try encoder.name(object)
    try encoder.operations(operations)
    encoder.path(path)
    try encoder.string(message, .message, atMost: Bounds.text)
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    (reason, detail, errno) = try decoder.refusal(bytes)
    application = try decoder.name(bytes)
    object = try decoder.name(bytes)
    operations = try decoder.operations(bytes)
    path = try decoder.optionalPath(bytes)
    message = try decoder.string(bytes, .message, atMost: Bounds.text)
  }
}

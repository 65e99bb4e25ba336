import Instructions

extension StatusRow {
  public func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(key)
    try encoder.text(value)
  }

  public init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    key = try decoder.name(bytes)
    value = try decoder.text(bytes)
  }
}

extension DoctorRow {
  public func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(subject)
    encoder.u8(state.rawValue)
    try encoder.text(why)
  }

  public init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    subject = try decoder.name(bytes)
    state = try decoder.value(State.self, try decoder.u8(bytes), .state)
    why = try decoder.text(bytes)
  }
}

extension ObjectRow {
  public func encode(into encoder: inout FieldEncoder) throws(WireError) {
    encoder.u32(object.rawValue)
    try encoder.name(name)
    encoder.u8(kind.rawValue)
    try encoder.operations(operations)
    encoder.u32(generation)
    encoder.u32(associations)
    try encoder.text(specification)
    try encoder.text(unavailable)
  }

  public init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    object = ObjectID(rawValue: try decoder.u32(bytes))
    name = try decoder.name(bytes)
    kind = try decoder.value(ObjectKind.self, try decoder.u8(bytes), .kind)
    operations = try decoder.operations(bytes)
    generation = try decoder.u32(bytes)
    associations = try decoder.u32(bytes)
    specification = try decoder.text(bytes)
    unavailable = try decoder.text(bytes)
  }
}

extension AssociationRow {
  public func encode(into encoder: inout FieldEncoder) throws(WireError) {
    encoder.u64(association.rawValue)
    try encoder.name(object)
    try encoder.name(application)
    encoder.u32(process.tgid)
    encoder.u32(process.execEpoch)
    encoder.u64(process.start)
    encoder.path(path)
    try encoder.operations(operations)
    encoder.u32(generation)
    encoder.u64(since)
    encoder.u64(expiry)
    encoder.u8(state.rawValue)
  }

  public init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    association = AssociationID(rawValue: try decoder.u64(bytes))
    object = try decoder.name(bytes)
    application = try decoder.name(bytes)
    let tgid = try decoder.u32(bytes)
    let execEpoch = try decoder.u32(bytes)
    process = ProcessResource(tgid: tgid, start: try decoder.u64(bytes), execEpoch: execEpoch)
    path = try decoder.path(bytes)
    operations = try decoder.operations(bytes)
    generation = try decoder.u32(bytes)
    since = try decoder.u64(bytes)
    expiry = try decoder.u64(bytes)
    state = try decoder.value(State.self, try decoder.u8(bytes), .state)
  }
}

extension RevocationRow {
  public func encode(into encoder: inout FieldEncoder) throws(WireError) {
    encoder.u64(association.rawValue)
    try encoder.name(object)
    try encoder.name(application)
    encoder.u32(pid)
    encoder.path(path)
    switch outcome {
    case .recalled:
      encoder.u8(0)
    case .running(let count):
      guard count > 0 else { throw .badValue(.outcome) }
      encoder.u8(1)
      encoder.u32(count)
    case .cannotRecall(let why):
      encoder.u8(2)
      try encoder.text(why)
    }
  }

  public init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    association = AssociationID(rawValue: try decoder.u64(bytes))
    object = try decoder.name(bytes)
    application = try decoder.name(bytes)
    pid = try decoder.u32(bytes)
    path = try decoder.path(bytes)
    switch try decoder.u8(bytes) {
    case 0:
      outcome = .recalled
    case 1:
      let count = try decoder.u32(bytes)
      guard count > 0 else { throw .badValue(.outcome) }
      outcome = .running(count)
    case 2:
      outcome = .cannotRecall(why: try decoder.text(bytes))
    default:
      throw .badValue(.outcome)
    }
  }
}

extension MistakeRow {
  public func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.text(file)
    encoder.u32(line)
    encoder.u32(column)
    encoder.u8(severity.rawValue)
    try encoder.text(text)
  }

  public init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    file = try decoder.text(bytes)
    line = try decoder.u32(bytes)
    column = try decoder.u32(bytes)
    severity = try decoder.value(Severity.self, try decoder.u8(bytes), .severity)
    text = try decoder.text(bytes)
  }
}

extension AuditRow {
  public func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.opaque(bytes, atMost: Bounds.record)
  }

  public init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    self.bytes = try decoder.opaque(bytes, atMost: Bounds.record)
  }
}

extension PlanRow {
  public func encode(into encoder: inout FieldEncoder) throws(WireError) {
    try encoder.name(object)
    encoder.u8(kind.rawValue)
    try encoder.text(specification)
    try encoder.name(application)
    try encoder.operations(operations)
    encoder.path(path)
    encoder.calls(calls)
    try encoder.text(executable)
    encoder.u16(refusal?.rawValue ?? 0)
    try encoder.text(why)
  }

  public init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    object = try decoder.name(bytes)
    kind = try decoder.value(ObjectKind.self, try decoder.u8(bytes), .kind)
    specification = try decoder.text(bytes)
    application = try decoder.name(bytes)
    operations = try decoder.operations(bytes)
    path = try decoder.path(bytes)
    calls = try decoder.calls(bytes)
    executable = try decoder.text(bytes)
    let code = try decoder.u16(bytes)
    refusal = code == 0 ? nil : try decoder.value(Reason.self, code, .reason)
    why = try decoder.text(bytes)
  }
}

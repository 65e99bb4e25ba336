import Authority
import Instructions

/// Why the bytes of a whole, undamaged frame are not a record that this version understands.
public enum AuditFormatError: Error, Sendable, Hashable {
  /// A field reaches beyond the record.
  case truncated
  /// A record version that does not exist (0), lengths that contradict each other, or a number that no record has.
  case malformed
  case unknownKind(UInt8)
  /// A code without a meaning in this version (a reason, an operation, a path …).
  case unknownCode(UInt32)
}

extension AuditRecord {
  /// The number of the record in a frame, which may be of a version that is not known; nil: it is too short.
  public static func sequence(ofEncoded frame: [UInt8]) -> UInt64? {
    frame.count >= Frame.headLength ? Frame.sequence(frame.span, at: 0) : nil
  }

  /// The record in a whole frame; marker and checksum have been compared before.
  ///
  /// Fields that a later version added behind the known ones are passed over; an unknown kind or code is an error.
  public init(decoding frame: [UInt8]) throws(AuditFormatError) {
    guard frame.count >= Frame.minimumLength else { throw .truncated }
    let head = Int(frame[13])
    guard frame[12] >= 1, head >= Frame.headLength, head + Frame.trailerLength <= frame.count,
      Frame.sequence(frame.span, at: 0) < Frame.sequenceLimit
    else { throw .malformed }
    guard let kind = AuditKind(rawValue: frame[14]) else { throw .unknownKind(frame[14]) }
    var input = FieldReader(frame, from: head, to: frame.count - Frame.trailerLength)
    let time = AuditTime(wall: try input.number(), boottime: try input.number())
    self.init(kind, time: time, boot: BootID(high: try input.number(), low: try input.number()))
    sequence = Frame.sequence(frame.span, at: 0)
    isTruncated = frame[15] & Frame.flagTruncated != 0
    let present: UInt64 = try input.number()
    for field in AuditField.allCases where present & field.bit != 0 {
      try decode(field, from: &input)
    }
  }

  private mutating func decode(_ field: AuditField, from input: inout FieldReader) throws(AuditFormatError) {
    switch field {
    case .reason: reason = try input.code { Reason(rawValue: $0) }
    case .detail: detail = try input.code { RefusalDetail(rawValue: $0) }
    case .errno: errno = try input.number()
    case .path: path = try input.code { OperationPath(rawValue: $0) }
    case .operation: operation = try input.code { Opcode(rawValue: $0) }
    case .operations: operations = OperationSet(rawValue: try input.number())
    case .operands: operands = Operands()
    case .offset: operands?.offset = try input.number()
    case .length: operands?.length = try input.number()
    case .request: operands?.request = try input.number()
    case .address: operands?.address = try input.address()
    case .association: association = AssociationID(rawValue: try input.number())
    case .pid: pid = try input.number()
    case .tid: tid = try input.number()
    case .processStart: processStart = try input.number()
    case .uid: uid = try input.number()
    case .executable: executable = FileIdentity(device: try input.number(), inode: try input.number())
    case .generation: generation = try input.number()
    case .cause: cause = try input.code { DropCause(rawValue: $0) }
    case .object: object = try input.text()
    case .application: application = try input.text()
    case .executablePath: executablePath = try input.text()
    case .cgroup: cgroup = try input.text()
    case .grant: grant = try input.text()
    case .message: message = try input.text()
    case .gap: gap = try input.gap()
    case .repair:
      repair = Repair(segment: try input.number(), offset: try input.number(), lost: try input.number())
    case .circumstances: circumstances = try input.circumstances()
    case .redacted: redacted = Redaction(rawValue: try input.number())
    case .removal: removal = Removal(first: try input.number(), last: try input.number())
    case .runtimeGrant:
      let id: UInt64 = try input.number()
      let expiry: UInt64 = try input.number()
      runtimeGrant = RuntimeGrantTerm(id: id, expiry: expiry == 0 ? nil : expiry)
    }
  }
}

/// Reads fields one after the other and never beyond the end it was given.
struct FieldReader {
  private let bytes: [UInt8]
  private var position: Int
  private let end: Int

  init(_ bytes: [UInt8], from start: Int, to end: Int) {
    self.bytes = bytes
    position = start
    self.end = end
  }

  mutating func number<Number: FixedWidthInteger>() throws(AuditFormatError) -> Number {
    let size = Number.bitWidth / 8
    guard end - position >= size else { throw .truncated }
    var value: UInt64 = 0
    for index in 0..<size { value |= UInt64(bytes[position + index]) << UInt64(8 * index) }
    position += size
    return Number(truncatingIfNeeded: value)
  }

  mutating func code<Code: FixedWidthInteger, Value>(_ make: (Code) -> Value?) throws(AuditFormatError) -> Value {
    let code: Code = try number()
    guard let value = make(code) else { throw .unknownCode(UInt32(truncatingIfNeeded: code)) }
    return value
  }

  /// A reader of the next `count` bytes alone; this one goes on behind them.
  mutating func part(_ count: Int) throws(AuditFormatError) -> FieldReader {
    guard end - position >= count else { throw .truncated }
    defer { position += count }
    return FieldReader(bytes, from: position, to: position + count)
  }

  mutating func text() throws(AuditFormatError) -> ByteString {
    let count = Int(try number() as UInt16)
    guard end - position >= count else { throw .truncated }
    var text: [UInt8] = []
    text.reserveCapacity(count)
    for index in position..<position + count { text.append(bytes[index]) }
    position += count
    return ByteString(bytes: text)
  }

  mutating func address() throws(AuditFormatError) -> NetworkAddress {
    let family = try code { NetworkAddress.Family(rawValue: $0) }
    let port: UInt16 = try number()
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    for index in bytes.indices { bytes[index] = try number() }
    return NetworkAddress(family: family, bytes: bytes, port: port)
  }

  mutating func gap() throws(AuditFormatError) -> Gap {
    var gap = Gap(first: try number(), last: try number(), counts: [])
    let count: UInt8 = try number()
    for _ in 0..<count {
      let code: UInt16 = try number()
      let reason = Reason(rawValue: code)
      guard code == 0 || reason != nil else { throw .unknownCode(UInt32(code)) }
      gap.counts.append(Gap.Count(reason: reason, count: try number()))
    }
    guard gap.first <= gap.last, gap.last < Frame.sequenceLimit else { throw .malformed }
    return gap
  }
}

/// The first 24 bytes of every control message.
public struct ControlHeader: Sendable, Hashable {
  public static let size = 24
  /// "PSTN"
  static let magic: UInt32 = 0x4E54_5350
  /// Of the framing and of everything in it; also what `hello` proposes.
  public static let version: UInt16 = 1

  /// Raw value of a `Request.Kind` or a `Reply.Kind`.
  public var type: UInt16
  /// Bytes of body.
  public var length: Int
  /// Chosen by the client, returned with each answer; not 0.
  public var requestID: UInt64

  enum Layout {
    static let magic = 0
    static let version = 4
    static let type = 6
    static let length = 8
    static let reserved = 12
    static let requestID = 16
  }

  /// Checks all but the type and the body: enough to answer a request whose body is wrong.
  public init(decoding message: Span<UInt8>) throws(WireError) {
    guard message.count >= ControlHeader.size else { throw .truncated }
    guard message.word32(Layout.magic) == ControlHeader.magic, message.word16(Layout.version) == ControlHeader.version
    else { throw .badMagic }
    guard message.word32(Layout.reserved) == 0 else { throw .badValue(.reserved) }
    type = message.word16(Layout.type)
    requestID = message.word64(Layout.requestID)
    guard requestID != 0 else { throw .badValue(.requestID) }
    length = Int(message.word32(Layout.length))
    guard length <= Bounds.body else { throw .oversized }
    guard message.count >= ControlHeader.size + length else { throw .truncated }
    guard message.count == ControlHeader.size + length else { throw .trailingBytes }
  }

  static func encode(
    type: UInt16, requestID: UInt64, body: (inout FieldEncoder) throws(WireError) -> Void
  ) throws(WireError) -> [UInt8] {
    guard requestID != 0 else { throw .badValue(.requestID) }
    var content = FieldEncoder()
    try body(&content)
    guard content.bytes.count <= Bounds.body else { throw .oversized }
    var message = FieldEncoder()
    message.bytes.reserveCapacity(ControlHeader.size + content.bytes.count)
    message.u32(ControlHeader.magic)
    message.u16(ControlHeader.version)
    message.u16(type)
    message.u32(UInt32(content.bytes.count))
    message.u32(0)
    message.u64(requestID)
    message.bytes.append(contentsOf: content.bytes)
    return message.bytes
  }
}

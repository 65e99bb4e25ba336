/// A row of a reply that may need several messages.
public protocol Row: Sendable, Hashable {
  func encode(into encoder: inout FieldEncoder) throws(WireError)
  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError)
}

/// As many rows as one message holds, and where to go on. The server keeps nothing between pages.
public struct Page<R: Row>: Sendable, Hashable {
  /// Cursor for the next page; 0: this is the last. Of `records`: the sequence number to read on after.
  public var next: UInt64
  public private(set) var rows: [R]
  /// Bytes of body so far.
  private var size: Int

  /// next u64, row count u32.
  private static var fixed: Int { 12 }

  public init(next: UInt64 = 0) {
    self.next = next
    rows = []
    size = Self.fixed
  }

  /// Adds the row, or says false and changes nothing if the message would be too large.
  ///
  /// Errors: a string or value of the row is outside its documented bounds; nothing was changed.
  public mutating func append(_ row: R) throws(WireError) -> Bool {
    var encoder = FieldEncoder()
    try row.encode(into: &encoder)
    guard size + encoder.bytes.count <= Bounds.body else { return false }
    size += encoder.bytes.count
    rows.append(row)
    return true
  }

  func encode(into encoder: inout FieldEncoder) throws(WireError) {
    encoder.u64(next)
    encoder.u32(UInt32(rows.count))
    for row in rows { try row.encode(into: &encoder) }
  }

  init(from decoder: inout FieldDecoder, _ bytes: Span<UInt8>) throws(WireError) {
    next = try decoder.u64(bytes)
    let count = Int(try decoder.u32(bytes))
    size = decoder.end - ControlHeader.size
    rows = []
    // Every row has at least one byte, so a lying count ends in `truncated` before it costs memory.
    for _ in 0..<count { rows.append(try R(from: &decoder, bytes)) }
  }
}

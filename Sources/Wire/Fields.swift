/// Appends the fields of a control message. Made by the codec; row types outside cannot be.
public struct FieldEncoder {
  var bytes: [UInt8] = []

  mutating func u8(_ value: UInt8) { bytes.append(value) }
  mutating func u16(_ value: UInt16) { integer(value) }
  mutating func u32(_ value: UInt32) { integer(value) }
  mutating func u64(_ value: UInt64) { integer(value) }
  mutating func i32(_ value: Int32) { integer(value) }
  mutating func flag(_ value: Bool) { bytes.append(value ? 1 : 0) }

  private mutating func integer<T: FixedWidthInteger>(_ value: T) {
    for byte in 0..<(T.bitWidth / 8) { bytes.append(UInt8(truncatingIfNeeded: value >> T(8 * byte))) }
  }

  /// u16 length, then UTF-8.
  mutating func string(_ value: String, _ field: WireError.Field, atMost bound: Int) throws(WireError) {
    let length = value.utf8.count
    guard length <= bound, !value.utf8.contains(0) else { throw .badString(field) }
    u16(UInt16(length))
    bytes.append(contentsOf: value.utf8)
  }

  mutating func name(_ value: String) throws(WireError) { try string(value, .name, atMost: Bounds.name) }
  mutating func text(_ value: String) throws(WireError) { try string(value, .text, atMost: Bounds.text) }

  /// u16 length, then the bytes.
  mutating func opaque(_ value: [UInt8], atMost bound: Int) throws(WireError) {
    guard value.count <= bound else { throw .oversized }
    u16(UInt16(value.count))
    bytes.append(contentsOf: value)
  }
}

/// Takes the fields of a control message one after the other. Made by the codec.
///
/// The bytes are a parameter of every call because an own type that holds a span would need lifetime annotations,
/// which the language does not have yet.
public struct FieldDecoder {
  var offset: Int
  let end: Int

  private mutating func take(_ count: Int) throws(WireError) -> Int {
    guard count <= end - offset else { throw .truncated }
    let start = offset
    offset += count
    return start
  }

  mutating func u8(_ bytes: Span<UInt8>) throws(WireError) -> UInt8 { bytes[try take(1)] }
  mutating func u16(_ bytes: Span<UInt8>) throws(WireError) -> UInt16 { bytes.word16(try take(2)) }
  mutating func u32(_ bytes: Span<UInt8>) throws(WireError) -> UInt32 { bytes.word32(try take(4)) }
  mutating func u64(_ bytes: Span<UInt8>) throws(WireError) -> UInt64 { bytes.word64(try take(8)) }
  mutating func i32(_ bytes: Span<UInt8>) throws(WireError) -> Int32 { Int32(bitPattern: try u32(bytes)) }

  mutating func flag(_ bytes: Span<UInt8>) throws(WireError) -> Bool {
    switch try u8(bytes) {
    case 0: false
    case 1: true
    default: throw .badValue(.flags)
    }
  }

  mutating func string(
    _ bytes: Span<UInt8>, _ field: WireError.Field, atMost bound: Int
  ) throws(WireError) -> String {
    let length = Int(try u16(bytes))
    guard length <= bound else { throw .badString(field) }
    let start = try take(length)
    let content = bytes.extracting(start..<(start + length))
    for index in content.indices where content[index] == 0 { throw .badString(field) }
    // The generic error that UTF8Span throws says where; a peer that sends such bytes needs no more than the field.
    guard let text = try? UTF8Span(validating: content) else { throw .badString(field) }
    return String(copying: text)
  }

  mutating func name(_ bytes: Span<UInt8>) throws(WireError) -> String {
    try string(bytes, .name, atMost: Bounds.name)
  }
  mutating func text(_ bytes: Span<UInt8>) throws(WireError) -> String {
    try string(bytes, .text, atMost: Bounds.text)
  }

  mutating func opaque(_ bytes: Span<UInt8>, atMost bound: Int) throws(WireError) -> [UInt8] {
    let length = Int(try u16(bytes))
    guard length <= bound else { throw .oversized }
    let start = try take(length)
    return [UInt8](capacity: length) { output in
      for index in start..<(start + length) { output.append(bytes[index]) }
    }
  }

  mutating func value<T: RawRepresentable>(
    _ type: T.Type, _ raw: T.RawValue, _ field: WireError.Field
  ) throws(WireError) -> T {
    guard let value = T(rawValue: raw) else { throw .badValue(field) }
    return value
  }
}

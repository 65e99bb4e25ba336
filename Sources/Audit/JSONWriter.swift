/// Writes JSON (RFC 8259) piece by piece into bytes; commas are put where they belong.
///
/// The caller keeps objects and arrays balanced and gives a key before each value of an object. Texts may hold any bytes:
/// what could act on a terminal is escaped, and bytes that are not UTF-8 become U+FFFD.
public struct JSONWriter: Sendable {
  public private(set) var bytes: [UInt8] = []
  private var needsComma = false

  public init() {}

  /// The JSON so far.
  public var text: String { String(decoding: bytes, as: UTF8.self) }

  public mutating func beginObject() { open("{") }
  public mutating func endObject() { close("}") }
  public mutating func beginArray() { open("[") }
  public mutating func endArray() { close("]") }

  /// The key of the value that comes next.
  public mutating func key(_ name: String) {
    separate()
    quote(name.utf8)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  public mutating func string(_ value: String) {
    separate()
    quote(value.utf8)
    needsComma = true
  }

  public mutating func string(_ value: ByteString) {
    separate()
    quote(value.bytes)
    needsComma = true
  }

  public mutating func number(_ value: some BinaryInteger) { raw("\(value)") }
  public mutating func bool(_ value: Bool) { raw(value ? "true" : "false") }
  public mutating func null() { raw("null") }

  public mutating func field(_ name: String, _ value: String?) {
    key(name)
    if let value { string(value) } else { null() }
  }

  /// A text that may not be UTF-8; if it is not, `nameHex` behind it has its exact bytes.
  public mutating func field(_ name: String, _ value: ByteString?) {
    key(name)
    guard let value else { return null() }
    string(value)
    if !value.isUTF8 {
      key(name + "Hex")
      string(String(decoding: value.bytes.flatMap { [hexDigit($0 >> 4), hexDigit($0)] }, as: UTF8.self))
    }
  }

  public mutating func field(_ name: String, _ value: (some BinaryInteger)?) {
    key(name)
    if let value { number(value) } else { null() }
  }

  public mutating func field(_ name: String, lines: [String]) {
    key(name)
    beginArray()
    for line in lines { string(line) }
    endArray()
  }

  public mutating func field(_ name: String, _ value: Bool) {
    key(name)
    bool(value)
  }

  private mutating func raw(_ text: String) {
    separate()
    bytes.append(contentsOf: text.utf8)
    needsComma = true
  }

  private mutating func open(_ bracket: Unicode.Scalar) {
    separate()
    bytes.append(UInt8(ascii: bracket))
    needsComma = false
  }

  private mutating func close(_ bracket: Unicode.Scalar) {
    bytes.append(UInt8(ascii: bracket))
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = false
  }

  private mutating func quote(_ text: some Sequence<UInt8>) {
    bytes.append(UInt8(ascii: "\""))
    forEachScalar(text) { scalar, _ in
      switch scalar {
      case nil: bytes.append(contentsOf: "\u{FFFD}".utf8)
      case "\""?: bytes.append(contentsOf: "\\\"".utf8)
      case "\\"?: bytes.append(contentsOf: "\\\\".utf8)
      case let scalar?:
        if scalar.actsOnTerminals {
          bytes.append(contentsOf: "\\u".utf8)
          for shift in [12, 8, 4, 0] as [UInt32] {
            bytes.append(hexDigit(UInt8(truncatingIfNeeded: scalar.value >> shift)))
          }
        } else {
          bytes.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
        }
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

extension ByteString {
  public var isUTF8: Bool {
    var isValid = true
    forEachScalar(bytes) { scalar, _ in if scalar == nil { isValid = false } }
    return isValid
  }

  /// For people: control characters and bytes that are not UTF-8 as `\xNN` or `\u{N}`, a backslash doubled.
  public var escaped: String {
    var out = ""
    forEachScalar(bytes) { scalar, invalid in
      guard let scalar else {
        for byte in invalid { out += "\\x" + hexText(byte) }
        return
      }
      if scalar == "\\" {
        out += "\\\\"
      } else if !scalar.actsOnTerminals {
        out.unicodeScalars.append(scalar)
      } else if scalar.value < 0x80 {
        out += "\\x" + hexText(UInt8(scalar.value))
      } else {
        out += "\\u{" + String(scalar.value, radix: 16) + "}"
      }
    }
    return out
  }
}

extension Unicode.Scalar {
  /// Controls (C0, DEL, C1), line and paragraph separators, and the marks that turn the direction of text around
  /// (Unicode Standard Annex 9), with which a name could make a line read as another one.
  public var actsOnTerminals: Bool {
    switch value {
    case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
    default: false
    }
  }
}

private func hexText(_ byte: UInt8) -> String {
  String(decoding: [hexDigit(byte >> 4), hexDigit(byte)], as: UTF8.self)
}

/// Calls `body` with each scalar, or with nil and the bytes where they are not UTF-8.
private func forEachScalar(_ text: some Sequence<UInt8>, _ body: (Unicode.Scalar?, ArraySlice<UInt8>) -> Void) {
  let bytes = Array(text)
  var parser = Unicode.UTF8.ForwardParser()
  var input = bytes.makeIterator()
  var position = 0
  while true {
    switch parser.parseScalar(from: &input) {
    case .valid(let encoded):
      position += encoded.count
      body(UTF8.decode(encoded), [])
    case .error(let length):
      body(nil, bytes[position..<position + length])
      position += length
    case .emptyInput: return
    }
  }
}

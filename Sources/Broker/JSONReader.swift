/// Reads one JSON text (RFC 8259) from bytes that a stranger sent, value by value, and nothing that is not JSON.
///
/// The caller asks for what it expects and skips the rest; what it skips is checked just as well. An object that gives a
/// key twice is refused: readers disagree on which one counts.
struct JSONReader {
  enum Mistake: Error, Hashable {
    /// It ends before it is complete.
    case truncated
    case syntax
    case notUTF8
    case repeatedKey(String)
    /// Objects and arrays within each other, beyond `deepest`.
    case tooDeep
    /// Not the kind of value that is expected here.
    case otherKind(expected: String)
    /// Something follows the value.
    case trailingBytes
  }

  /// Deeper than any message that has a purpose; readers call themselves for each level.
  static let deepest = 32

  private let bytes: [UInt8]
  private var at = 0
  private var depth = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Reads an object: `member` is called for each key and reads its value.
  mutating func object(_ member: (String, inout JSONReader) throws(Mistake) -> Void) throws(Mistake) {
    try open("{", "an object")
    var keys: Set<String> = []
    if try !closes("}") {
      repeat {
        let key = try string()
        guard keys.insert(key).inserted else { throw .repeatedKey(key) }
        try expect(":")
        try member(key, &self)
      } while try continues("}")
    }
    depth -= 1
  }

  /// Reads an array: `element` is called to read each value.
  mutating func array(_ element: (inout JSONReader) throws(Mistake) -> Void) throws(Mistake) {
    try open("[", "an array")
    if try !closes("]") {
      repeat { try element(&self) } while try continues("]")
    }
    depth -= 1
  }

  mutating func string() throws(Mistake) -> String {
    guard try peek() == UInt8(ascii: "\"") else { throw .otherKind(expected: "a string") }
    at += 1
    var text: [UInt8] = []
    while true {
      let byte = try next()
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else { throw .notUTF8 }
        return string
      case UInt8(ascii: "\\"): text += try escape()
      case 0..<0x20: throw .syntax
      default: text.append(byte)
      }
    }
  }

  /// Reads an integer that fits; one with a fraction or an exponent is none.
  mutating func integer() throws(Mistake) -> Int64 {
    let first = try peek()
    guard first == UInt8(ascii: "-") || JSONReader.isDigit(first) else { throw .otherKind(expected: "an integer") }
    let start = at
    try number()
    guard let value = Int64(String(decoding: bytes[start..<at], as: UTF8.self)) else {
      throw .otherKind(expected: "an integer")
    }
    return value
  }

  /// Passes over any value.
  mutating func skip() throws(Mistake) {
    switch try peek() {
    case UInt8(ascii: "{"): try object { (_, reader) throws(Mistake) in try reader.skip() }
    case UInt8(ascii: "["): try array { (reader) throws(Mistake) in try reader.skip() }
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "t"): try word("true")
    case UInt8(ascii: "f"): try word("false")
    case UInt8(ascii: "n"): try word("null")
    default: try number()
    }
  }

  /// Nothing but white space is left.
  mutating func end() throws(Mistake) {
    skipSpace()
    guard at == bytes.count else { throw .trailingBytes }
  }

  // MARK: Pieces

  private mutating func open(_ bracket: Unicode.Scalar, _ name: String) throws(Mistake) {
    guard try peek() == UInt8(ascii: bracket) else { throw .otherKind(expected: name) }
    at += 1
    depth += 1
    guard depth <= JSONReader.deepest else { throw .tooDeep }
  }

  /// Right after an opening bracket: whether nothing is in it.
  private mutating func closes(_ bracket: Unicode.Scalar) throws(Mistake) -> Bool {
    guard try peek() == UInt8(ascii: bracket) else { return false }
    at += 1
    return true
  }

  /// After a member or an element: whether another one follows.
  private mutating func continues(_ bracket: Unicode.Scalar) throws(Mistake) -> Bool {
    let byte = try peek()
    at += 1
    if byte == UInt8(ascii: ",") { return true }
    guard byte == UInt8(ascii: bracket) else { throw .syntax }
    return false
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(Mistake) {
    guard try peek() == UInt8(ascii: character) else { throw .syntax }
    at += 1
  }

  private mutating func word(_ word: String) throws(Mistake) {
    for byte in word.utf8 { guard try next() == byte else { throw .syntax } }
  }

  private mutating func number() throws(Mistake) {
    if at < bytes.count, bytes[at] == UInt8(ascii: "-") { at += 1 }
    // No leading zeros.
    if at < bytes.count, bytes[at] == UInt8(ascii: "0") { at += 1 } else { try digits() }
    if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
      at += 1
      try digits()
    }
    if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
      at += 1
      if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
      try digits()
    }
  }

  private mutating func digits() throws(Mistake) {
    guard at < bytes.count else { throw .truncated }
    guard JSONReader.isDigit(bytes[at]) else { throw .syntax }
    while at < bytes.count, JSONReader.isDigit(bytes[at]) { at += 1 }
  }

  /// What follows a backslash, as UTF-8.
  private mutating func escape() throws(Mistake) -> [UInt8] {
    let byte = try next()
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [8]
    case UInt8(ascii: "f"): return [12]
    case UInt8(ascii: "n"): return [10]
    case UInt8(ascii: "r"): return [13]
    case UInt8(ascii: "t"): return [9]
    case UInt8(ascii: "u"): break
    default: throw .syntax
    }
    var value = try hexadecimal()
    if 0xD800..<0xDC00 ~= value {
      // The first half of a character beyond 16 bits; the second has to follow.
      guard try next() == UInt8(ascii: "\\"), try next() == UInt8(ascii: "u") else { throw .notUTF8 }
      let second = try hexadecimal()
      guard 0xDC00..<0xE000 ~= second else { throw .notUTF8 }
      value = 0x10000 + (value - 0xD800) << 10 + (second - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(value), let encoded = UTF8.encode(scalar) else { throw .notUTF8 }
    return Array(encoded)
  }

  private mutating func hexadecimal() throws(Mistake) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      let byte = try next()
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
      default: throw .syntax
      }
    }
    return value
  }

  /// The next byte that is no white space; it stays there.
  private mutating func peek() throws(Mistake) -> UInt8 {
    skipSpace()
    guard at < bytes.count else { throw .truncated }
    return bytes[at]
  }

  private mutating func next() throws(Mistake) -> UInt8 {
    guard at < bytes.count else { throw .truncated }
    at += 1
    return bytes[at - 1]
  }

  private mutating func skipSpace() {
    while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x0A || bytes[at] == 0x0D || bytes[at] == 0x09 { at += 1 }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
}

/// A position in a file, line and column from 1, columns in Unicode scalars, as libyaml counts.
struct Position: Hashable, Comparable {
  var line: Int
  var column: Int

  static func < (left: Position, right: Position) -> Bool {
    (left.line, left.column) < (right.line, right.column)
  }
}

/// A file's text as scalars with its line starts, so that a place can be looked at and replaced without moving others.
struct SourceText {
  private(set) var scalars: [Unicode.Scalar]
  private let lineStarts: [Int]
  /// What `scalars` came from, while nothing in them is replaced.
  private var original: String?

  init(_ text: String) {
    original = text
    scalars = Array(text.unicodeScalars)
    var starts = [0]
    for (index, scalar) in scalars.enumerated() {
      switch scalar {
      case "\r" where index + 1 < scalars.count && scalars[index + 1] == "\n": continue
      // The line breaks of YAML 1.1, which libyaml counts.
      case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": starts.append(index + 1)
      default: continue
      }
    }
    lineStarts = starts
  }

  var text: String {
    if let original { return original }
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  /// The index of a position, or nil where the text has none.
  func index(of position: Position) -> Int? {
    guard position.line >= 1, position.line <= lineStarts.count, position.column >= 1 else { return nil }
    let index = lineStarts[position.line - 1] + position.column - 1
    return index < scalars.count ? index : nil
  }

  func scalar(at position: Position) -> Unicode.Scalar? {
    index(of: position).map { scalars[$0] }
  }

  func position(of index: Int) -> Position {
    var low = 0
    var high = lineStarts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if lineStarts[middle] <= index { low = middle } else { high = middle }
    }
    return Position(line: low + 1, column: index - lineStarts[low] + 1)
  }

  /// A position that the text has: one beyond its end becomes the end.
  func clamped(_ position: Position) -> Position {
    guard position.line <= lineStarts.count else { return self.position(of: scalars.count) }
    return Position(line: max(1, position.line), column: max(1, position.column))
  }

  mutating func replace(at index: Int, with scalar: Unicode.Scalar) {
    original = nil
    scalars[index] = scalar
  }
}

extension SourceText {
  /// Decodes a file: UTF-8, and only characters that YAML allows. The first byte or character that is not is the mistake.
  static func decode(_ bytes: [UInt8]) -> Result<SourceText, YamlFailure> {
    let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
    guard let text = String(validating: body, as: UTF8.self) else {
      let bad = firstInvalid(body)
      let source = SourceText(String(decoding: body.prefix(bad), as: UTF8.self))
      return .failure(
        YamlFailure(position: source.position(of: source.scalars.count), text: "the file is not UTF-8 text"))
    }
    let source = SourceText(text)
    for (index, scalar) in source.scalars.enumerated() {
      switch scalar.value {
      case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x85, 0xA0...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD, 0x10000...0x10FFFF:
        continue
      default:
        let text =
          "character U+\(String(scalar.value, radix: 16, uppercase: true)) is not allowed; is this a text file?"
        return .failure(YamlFailure(position: source.position(of: index), text: text))
      }
    }
    return .success(source)
  }

  /// The offset of the first byte that is no UTF-8.
  private static func firstInvalid(_ bytes: ArraySlice<UInt8>) -> Int {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var valid = 0
    while case .scalarValue(let scalar) = decoder.decode(&iterator) { valid += UTF8.width(scalar) }
    return valid
  }
}

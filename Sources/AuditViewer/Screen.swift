import Audit

/// Columns and rows of a terminal.
public struct ScreenSize: Sendable, Hashable {
  public var width: Int
  public var height: Int

  /// - Parameters: bounded, since a pseudo-terminal's master may say anything (ioctl_tty(2)).
  public init(width: Int, height: Int) {
    self.width = min(max(width, 1), 1000)
    self.height = min(max(height, 1), 500)
  }
}

/// A terminal's content: cells with one character each, none of which can do anything to the terminal.
public struct Screen: Sendable, Hashable {
  public struct Cell: Sendable, Hashable {
    public var scalar: Unicode.Scalar
    public var style: CellStyle
    /// Columns; 0: the right half of the one before.
    public var width: UInt8

    static let blank = Cell(scalar: " ", style: .plain, width: 1)
  }

  public struct Place: Sendable, Hashable {
    public var row: Int
    public var column: Int
  }

  public let size: ScreenSize
  public private(set) var rows: [[Cell]]
  /// Where the cursor is shown; nil: nowhere.
  public var cursor: Place?

  public init(size: ScreenSize) {
    self.size = size
    rows = Array(repeating: Array(repeating: .blank, count: size.width), count: size.height)
  }

  /// Writes a text from a place to the right; what has no room is replaced by `…`.
  ///
  /// - Parameters:
  ///   - room: columns; nil: to the edge.
  ///   - fills: whether the rest of the room gets the style too.
  /// - Returns: columns that were used.
  @discardableResult
  public mutating func put(
    _ text: String, row: Int, column: Int, room: Int? = nil, style: CellStyle = .plain, fills: Bool = false
  ) -> Int {
    guard rows.indices.contains(row), column >= 0, column < size.width else { return 0 }
    let room = min(room ?? size.width, size.width - column)
    guard room > 0 else { return 0 }
    var cells: [Cell] = []
    var used = 0
    var isCut = false
    for (scalar, width) in text.shownScalars {
      guard used + width <= room else {
        isCut = true
        break
      }
      cells.append(Cell(scalar: scalar, style: style, width: UInt8(width)))
      if width == 2 { cells.append(Cell(scalar: " ", style: style, width: 0)) }
      used += width
    }
    if isCut {
      while cells.count >= room || cells.last?.width == 0 { cells.removeLast() }
      cells.append(Cell(scalar: "…", style: style, width: 1))
    }
    used = cells.count
    while fills, cells.count < room { cells.append(Cell(scalar: " ", style: style, width: 1)) }
    rows[row].replaceSubrange(column..<column + cells.count, with: cells)
    return used
  }

  /// Its lines as text, without the blanks at their ends.
  public var text: String {
    rows.map { row in
      var line = String.UnicodeScalarView()
      for cell in row where cell.width > 0 { line.append(cell.scalar) }
      while line.last == " " { line.removeLast() }
      return String(line)
    }.joined(separator: "\n")
  }
}

extension String {
  /// What is shown of it and how many columns each takes. Whatever acts on a terminal, or takes no column of its own and
  /// so would shift what follows, is written out.
  var shownScalars: [(scalar: Unicode.Scalar, width: Int)] {
    var shown: [(Unicode.Scalar, Int)] = []
    for scalar in unicodeScalars {
      let width = scalar.columns
      if width > 0 {
        shown.append((scalar, width))
      } else {
        for other in "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars { shown.append((other, 1)) }
      }
    }
    return shown
  }

  /// Columns that it takes on a screen.
  var columns: Int {
    // Most texts are plain.
    if utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return utf8.count }
    return shownScalars.reduce(0) { $0 + $1.width }
  }

  /// In lines of at most so many columns, broken at blanks where there are some; all but the first are indented.
  func wrapped(columns room: Int, indent: Int) -> [String] {
    let indent = min(indent, max(0, room - 8))
    var lines: [String] = []
    var line = String.UnicodeScalarView()
    var used = 0
    var lastBlank: String.UnicodeScalarView.Index?
    for (scalar, width) in shownScalars {
      if used + width > max(1, room) {
        var rest = String.UnicodeScalarView()
        if let blank = lastBlank {
          rest.append(contentsOf: line[line.index(after: blank)...])
          line.removeSubrange(blank...)
        }
        lines.append(String(line))
        line = String(repeating: " ", count: indent).unicodeScalars
        line.append(contentsOf: rest)
        used = String(line).columns
        lastBlank = nil
      }
      line.append(scalar)
      used += width
      // A blank that only indents is no place to break at.
      if scalar == " ", line.contains(where: { $0 != " " }) { lastBlank = line.index(before: line.endIndex) }
    }
    lines.append(String(line))
    return lines
  }
}

extension Unicode.Scalar {
  /// Columns on a terminal: 2 for what East Asian scripts and pictures take (Unicode Standard Annex 11), 0 for what
  /// takes none, or does something.
  var columns: Int {
    if value < 0x7F { return value < 0x20 ? 0 : 1 }
    if actsOnTerminals { return 0 }
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control, .surrogate, .unassigned, .lineSeparator,
      .paragraphSeparator:
      return 0
    default: break
    }
    switch value {
    // Hangul vowels and finals join the letter before; the fillers show nothing.
    case 0x115F...0x11FF, 0xD7B0...0xD7FF, 0x3164, 0xFFA0: return 0
    case 0x1100...0x115E, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF,
      0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF, 0x1B000...0x1B2FB, 0x1F200...0x1F2FF,
      0x20000...0x3FFFD:
      return 2
    default: return properties.isEmojiPresentation ? 2 : 1
    }
  }
}

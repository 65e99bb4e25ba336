/// What the terminal that a screen is written to understands.
public struct TerminalAbilities: Sendable, Hashable {
  public var isColoured: Bool
  /// Whether its character set is UTF-8; without that nothing but ASCII is written.
  public var isUnicode: Bool

  public init(isColoured: Bool, isUnicode: Bool) {
    self.isColoured = isColoured
    self.isUnicode = isUnicode
  }
}

extension Screen {
  /// Another screen to draw on, no cursor, and no wrapping at the right edge: a character that is wider than was thought
  /// then stays in its line (console_codes(4), xterm's 1049).
  public static let enter: StaticString = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l\u{1B}[0m\u{1B}[2J"
  /// Everything as it was.
  public static let leave: StaticString = "\u{1B}[0m\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"

  /// What turns a terminal that shows `previous` into one that shows this; nil: whatever it shows.
  public func bytes(after previous: Screen?, _ abilities: TerminalAbilities) -> [UInt8] {
    var out = ""
    if cursor == nil || previous?.cursor == nil { out += "\u{1B}[?25l" }
    if previous?.size != size { out += "\u{1B}[0m\u{1B}[2J" }
    for (index, row) in rows.enumerated() where previous?.size != size || previous?.rows[index] != row {
      write(row, at: index, abilities, to: &out)
    }
    if let cursor { out += "\u{1B}[\(cursor.row + 1);\(cursor.column + 1)H\u{1B}[?25h" }
    return Array(out.utf8)
  }

  private func write(_ row: [Cell], at index: Int, _ abilities: TerminalAbilities, to out: inout String) {
    out += "\u{1B}[\(index + 1);1H\u{1B}[0m"
    // A terminal that holds a character for narrower than it is here would leave old cells beside it.
    if row.contains(where: { $0.width == 2 }) { out += "\u{1B}[2K" }
    var style = CellStyle.plain
    var isSure = true
    let end = row.lastIndex { $0 != .blank }.map { $0 + 1 } ?? 0
    for (column, cell) in row[..<end].enumerated() where cell.width > 0 {
      // The terminal may hold another width for what is not ASCII; what follows is put in its place again.
      if cell.scalar.isASCII, !isSure {
        out += "\u{1B}[\(index + 1);\(column + 1)H"
        isSure = true
      }
      if cell.style != style {
        style = cell.style
        out += "\u{1B}[\(style.parameters(coloured: abilities.isColoured))m"
      }
      if cell.scalar.isASCII || abilities.isUnicode {
        isSure = isSure && cell.scalar.isASCII
        out.unicodeScalars.append(cell.scalar)
      } else {
        out += String(repeating: cell.scalar.substitute, count: Int(cell.width))
      }
    }
    if end < row.count {
      out += "\u{1B}[0m\u{1B}[\(index + 1);\(end + 1)H\u{1B}[K"
    }
  }
}

extension Unicode.Scalar {
  /// ASCII for what the viewer draws with; a question mark for what names consist of.
  fileprivate var substitute: String {
    switch value {
    case 0x2581...0x2583: "."
    case 0x2584...0x2586: ":"
    case 0x2587...0x2588: "#"
    case 0x2500, 0x2501, 0x2594: "-"
    case 0x2502: "|"
    case 0x2026: "~"
    case 0x201C, 0x201D: "\""
    case 0x2191: "^"
    case 0x2193: "v"
    default: "?"
    }
  }
}

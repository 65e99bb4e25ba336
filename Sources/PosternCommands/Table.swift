/// Rows for people, columns aligned under their titles.
struct Table {
  enum Alignment { case left, right }

  struct Column {
    var title: String
    var alignment: Alignment

    init(_ title: String, _ alignment: Alignment = .left) {
      self.title = title
      self.alignment = alignment
    }
  }

  struct Cell: ExpressibleByStringLiteral {
    var text: String
    var style: Style

    /// - Parameter text: may hold anything; it is escaped here.
    init(_ text: String, _ style: Style = .plain) {
      self.text = text.isEmpty ? "-" : text.escapedForTerminal
      self.style = style
    }

    /// - Parameter escaped: was made safe for terminals already.
    init(escaped text: String, _ style: Style = .plain) {
      self.text = text.isEmpty ? "-" : text
      self.style = style
    }

    init(_ number: some BinaryInteger) { self.init(String(number)) }
    init(stringLiteral text: String) { self.init(text) }
  }

  var columns: [Column]
  var rows: [[Cell]] = []

  init(_ columns: Column...) { self.columns = columns }
  init(columns: [Column]) { self.columns = columns }

  /// What each column needs, and no less than `least`.
  func widths(least: [Int] = []) -> [Int] {
    columns.indices.map { index in
      rows.reduce(max(columns[index].title.count, index < least.count ? least[index] : 0)) {
        max($0, $1[index].text.count)
      }
    }
  }

  /// The lines, each with its line end; no line ends in spaces.
  ///
  /// - Parameter widths: at least what `widths()` gives; nil: that.
  func text(coloured: Bool, withTitles: Bool = true, widths: [Int]? = nil) -> String {
    let widths = widths ?? self.widths()
    var result = withTitles ? line(columns.map { Cell($0.title, .bold) }, widths, coloured) : ""
    for row in rows { result += line(row, widths, coloured) }
    return result
  }

  private func line(_ cells: [Cell], _ widths: [Int], _ coloured: Bool) -> String {
    var result = ""
    for (index, cell) in cells.enumerated() {
      let padding = String(repeating: " ", count: widths[index] - cell.text.count)
      let shown = cell.style.apply(to: cell.text, coloured: coloured)
      let isLast = index == cells.count - 1
      switch columns[index].alignment {
      case .left: result += shown + (isLast ? "" : padding)
      case .right: result += padding + shown
      }
      result += isLast ? "\n" : "  "
    }
    return result
  }
}

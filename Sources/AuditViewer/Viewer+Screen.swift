import Audit
import AuditAnalysis

extension Viewer {
  /// What the terminal is to show.
  public var screen: Screen {
    var screen = Screen(size: size)
    if mode == .help {
      drawHelp(&screen)
      return screen
    }
    let layout = Layout(self)
    drawTitle(&screen)
    drawHistogram(layout, &screen)
    drawFilter(layout, &screen)
    drawList(layout, &screen)
    drawPane(layout, &screen)
    drawKeys(layout, &screen)
    return screen
  }

  private func drawTitle(_ screen: inout Screen) {
    let matching = kept.matching.count
    var parts = ["\(matching == kept.count ? "" : "\(matching) of ")\(kept.count) records"]
    if kept.isFull { parts[0] += " (the newest)" }
    if unreadable > 0 { parts.append("\(unreadable) unreadable") }
    if skipped > 0 { parts.append("\(skipped) passed over") }
    if kept.dropped > 0 { parts.append("\(kept.dropped) not kept") }
    if kept.repeats > 0 { parts.append("\(kept.repeats) repeats") }
    let state = obstacle != nil ? "no broker" : isFollowing ? "live" : wantsRecords ? "held" : "held, newer ones wait"
    screen.put("", row: 0, column: 0, style: .bar, fills: true)
    let used = screen.put(" postern audit  " + parts.joined(separator: ", "), row: 0, column: 0, style: .bar)
    let right = state + " "
    let column = size.width - right.columns
    if column > used + 1 {
      let style = CellStyle(obstacle != nil ? .bad : isFollowing ? .good : .doubtful, isReversed: true)
      screen.put(right, row: 0, column: column, style: style)
    }
  }

  private func drawHistogram(_ layout: Layout, _ screen: inout Screen) {
    guard let axis = layout.axis, let most = kept.histogram.bars.map(\.count).max() else { return }
    // The bars that there are, joined until they fit.
    let margin = max(6, "\(most)".count + 3)
    var drawn = Histogram(width: max(2, size.width - margin - 1), span: kept.histogram.span)
    for (start, count) in kept.histogram.bars where count > 0 { drawn.take(start, count: count) }
    let bars = drawn.bars
    // A few bars are easier to see when they are wide.
    let wide = min(4, max(1, (size.width - margin - 1) / max(1, bars.count)))
    let highest = "\(bars.map(\.count).max() ?? 0)"
    for (index, line) in drawn.lines(height: layout.histogram.count).enumerated() {
      let row = layout.histogram.lowerBound + index
      if index == 0 { screen.put(highest, row: row, column: max(0, margin - highest.count - 1), style: .faint) }
      let bar = String(line.flatMap { repeatElement($0, count: wide) })
      screen.put(bar, row: row, column: margin, style: .accent)
    }
    guard let first = bars.first?.start, let last = bars.last?.start else { return }
    let text = bars.count > 1 ? "\(Self.clock(first)) … \(Self.clock(last))" : Self.clock(first)
    screen.put("\(text), \(drawn.spanText) a bar", row: axis, column: margin, style: .faint)
  }

  private func drawFilter(_ layout: Layout, _ screen: inout Screen) {
    var column = screen.put(
      base.isEmpty ? "filter " : "filter \(base) and ", row: layout.filter, column: 0, style: .strong)
    if filterLine.text.isEmpty, mode != .filter {
      column += screen.put("none (press /)", row: layout.filter, column: column, style: .faint)
      return drawCoverage(layout, behind: column, &screen)
    }
    defer { drawCoverage(layout, behind: column, &screen) }
    let isWrong = filterLine.mistake != nil && mode != .filter
    // While one types the end is what is looked at.
    let room = max(1, size.width - column - 1)
    var text = filterLine.text.shownScalars[...]
    while text.reduce(0, { $0 + $1.width }) > room { text.removeFirst() }
    let shown = String(String.UnicodeScalarView(text.map(\.scalar)))
    column += screen.put(shown, row: layout.filter, column: column, style: isWrong ? .bad : .plain)
    if mode == .filter {
      screen.cursor = Screen.Place(row: layout.filter, column: min(column, size.width - 1))
    }
  }

  private func drawCoverage(_ layout: Layout, behind column: Int, _ screen: inout Screen) {
    guard let text = coverage else { return }
    let place = screen.size.width - text.columns - 1
    if place > column + 1 { screen.put(text, row: layout.filter, column: place, style: .doubtful) }
  }

  private func drawKeys(_ layout: Layout, _ screen: inout Screen) {
    let row = layout.keys
    if let obstacle {
      screen.put(obstacle, row: row, column: 0, style: .bad)
      return
    }
    if mode == .filter {
      if !filterLine.candidates.isEmpty {
        screen.put(filterLine.candidates.joined(separator: "  "), row: row, column: 0, style: .accent)
        return
      }
      if let mistake = filterLine.mistake {
        screen.put(mistake, row: row, column: 0, style: .doubtful)
        return
      }
    } else if let mistake = filterLine.mistake {
      screen.put(mistake, row: row, column: 0, style: .bad)
      return
    }
    if let searchObstacle, mode == .list {
      screen.put("no older ones: " + searchObstacle, row: row, column: 0, style: .bad)
      return
    }
    let keys: [(String, String)] =
      mode == .filter
      ? [("Tab", "complete"), ("Enter", "done"), ("Esc", "undo"), ("Ctrl-U", "clear")]
      : pane != nil
        ? [("↑↓", "other record"), ("PgUp PgDn", "scroll"), ("Esc", "close"), ("f", "follow"), ("?", "help")]
        : [
          ("↑↓", "select"), ("Enter", "why"), ("/", "filter"), ("r", "refusals"),
          ("f", isFollowing ? "hold" : "follow"),
        ] + (hasOlder ? [("o", "older")] : []) + [("?", "help"), ("q", "quit")]
    var column = 0
    for (key, meaning) in keys where column + key.columns + meaning.columns + 1 <= size.width {
      column += screen.put(key, row: row, column: column, style: .accent)
      column += 1 + screen.put(meaning, row: row, column: column + 1) + 2
    }
  }

  private func drawHelp(_ screen: inout Screen) {
    let lines: [(String, String)] = [
      ("↑ ↓  j k", "select a record"), ("PgUp PgDn", "a page of the list, or of the pane"),
      ("Home End  g G", "the oldest; the newest, and follow"), ("Enter", "why it was refused, and what would allow it"),
      ("Esc", "close the pane; without one: no filter"), ("/", "filter, as you type; Tab completes"),
      ("r", "refusals only, or all"), ("f", "follow what comes, or hold still"),
      ("o", "search records that are older than those kept"), ("Ctrl-L", "draw again"),
      ("Ctrl-Z", "stop for a while"), ("q  Ctrl-C", "quit"), ("", ""),
      ("filter words", AuditFilter.keys.prefix(6).joined(separator: ": ") + ":"),
      ("", AuditFilter.keys.dropFirst(6).joined(separator: ": ") + ":"),
      ("", "such as reason:limit object:web since:15m"),
    ]
    screen.put(" postern audit: keys", row: 0, column: 0, style: .bar, fills: true)
    for (index, line) in lines.enumerated() {
      screen.put(line.0, row: index + 2, column: 2, room: 15, style: .accent)
      screen.put(line.1, row: index + 2, column: 18)
    }
    screen.put("any key goes back", row: size.height - 1, column: 2, style: .faint)
  }

  /// To the second, with a blank between date and time.
  static func clock(_ wall: UInt64) -> String {
    String(AuditTime(wall: wall, boottime: 0).text.prefix(19)).replacing("T", with: " ")
  }
}

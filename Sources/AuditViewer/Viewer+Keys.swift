import Audit

extension Viewer {
  mutating func press(_ key: Key) -> [Effect] {
    switch key {
    case .control("c"): return [.quit]
    case .control("z"): return [.suspend]
    case .control("l"): return [.redraw]
    default: break
    }
    switch mode {
    case .list: return pressInList(key)
    case .filter: return pressInFilter(key)
    case .help:
      mode = .list
      return []
    }
  }

  private mutating func pressInList(_ key: Key) -> [Effect] {
    switch key {
    case .up, .text("k"): return move(by: -1)
    case .down, .text("j"): return move(by: 1)
    case .pageUp: return page(by: -1)
    case .pageDown, .text(" "): return page(by: 1)
    case .home, .text("g"): return move(by: -kept.matching.count)
    case .end, .text("G"): return move(by: kept.matching.count)
    case .text("f"): isFollowing.toggle()
    case .text("o"): return search()
    case .enter, .right:
      guard let record = selectedRecord, pane == nil else { return [] }
      open(record.sequence)
      // What is read is to stay where it is.
      isFollowing = false
      return [.explain(record.sequence)]
    case .escape, .left, .text("q"):
      if pane != nil {
        pane = nil
        detail = nil
        return []
      }
      if key == .text("q") { return [.quit] }
      if key == .escape { setFilter("", isFinished: true) }
    case .text("/"):
      mode = .filter
      filterBefore = filterLine.text
      let text = filterLine.text
      setFilter(text.isEmpty || text.hasSuffix(" ") ? text : text + " ")
    case .text("r"):
      let word = "verdict:refused"
      var text = filterLine.text
      if filterLine.filter.verdict == .refused, let place = text.firstRange(of: word) {
        text.removeSubrange(place)
      } else {
        text += text.isEmpty ? word : " " + word
      }
      setFilter(text, isFinished: true)
    case .text("?"), .text("h"): mode = .help
    default: break
    }
    return []
  }

  /// A page of the pane where one is open, else of the list.
  private mutating func page(by pages: Int) -> [Effect] {
    let layout = Layout(self)
    guard pane != nil, let place = layout.pane else { return move(by: pages * max(1, listRows - 1)) }
    let lines = paneLines(columns: place.columns.count - 1).count
    let rows = max(1, place.rows.count - 1)
    paneTop = max(0, min(paneTop + pages * max(1, rows - 1), lines - rows))
    return []
  }

  private mutating func pressInFilter(_ key: Key) -> [Effect] {
    switch key {
    case .text(let scalar): setFilter(filterLine.text + String(scalar))
    case .backspace:
      let scalars = filterLine.text.unicodeScalars.dropLast()
      setFilter(String(scalars))
    case .control("u"): setFilter("")
    case .control("w"): setFilter(filterLine.withoutLastWord)
    case .tab: if let completed = filterLine.completed { setFilter(completed) }
    case .enter, .down, .up:
      setFilter(trimmed, isFinished: true)
      mode = .list
    case .escape:
      setFilter(filterBefore, isFinished: true)
      mode = .list
    default: break
    }
    return []
  }

  private var trimmed: String {
    var scalars = filterLine.text.unicodeScalars[...]
    while scalars.last == " " { scalars.removeLast() }
    return String(scalars)
  }
}

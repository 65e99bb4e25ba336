import Audit
import AuditAnalysis

extension Viewer {
  func drawList(_ layout: Layout, _ screen: inout Screen) {
    let matching = kept.matching
    let start = kept.index(of: top)
    let shown = matching[start..<min(matching.endIndex, start + max(0, layout.list.count))]
    let records = shown.compactMap { kept[$0] }
    let rows = records.map { cells(of: $0, width: layout.listColumns) }
    let columns = Self.columns(rows + [Self.head], room: layout.listColumns)
    put(Self.head, columns, row: layout.head, style: { _ in .strong }, &screen)
    for (offset, position) in shown.enumerated() {
      let isSelected = position == selected
      let record = records[offset]
      if isSelected {
        screen.put(
          "", row: layout.list.lowerBound + offset, column: 0, room: layout.listColumns,
          style: CellStyle(.plain, isReversed: true), fills: true)
      }
      put(
        rows[offset], columns, row: layout.list.lowerBound + offset,
        style: { index in
          CellStyle(index == 2 ? Self.role(of: record) : .plain, isReversed: isSelected)
        }, &screen)
    }
    if records.isEmpty {
      for (offset, line) in whyEmpty.enumerated() where offset + 1 < layout.list.count {
        screen.put(
          line, row: layout.list.lowerBound + offset + 1, column: 2, room: max(0, layout.listColumns - 2),
          style: offset == 0 ? .doubtful : .plain)
      }
    }
  }

  /// Why nothing is shown, one line each.
  private var whyEmpty: [String] {
    if kept.count == 0 {
      let which = base.isEmpty ? "no record that you may read" : "no record that matches \(base)"
      return ["\(which) yet; what comes is shown here"] + rights
    }
    return kept.diagnosis.explanation { "\($0.key):\($0.value.escaped)" }
      + (hasOlder && searching == nil ? ["only the newest were looked at: o searches the older ones"] : [])
      + ["Esc takes the filter away"] + rights
  }

  private static let head = ["SEQ", "TIME", "VERDICT", "WHO", "WHAT", "WHY"]

  /// As in a listing, with the clock's time alone where there is no room for the date.
  private func cells(of record: AuditRecord, width: Int) -> [String] {
    var row = record.tableRow
    let time = Self.clock(record.time.wall)
    row[1] = width >= 130 ? time : String(time.suffix(8))
    if width < 130 { row[3] = Self.shortWho(record) }
    return row
  }

  /// The application and the program's name, where there is no room for its path and the user.
  private static func shortWho(_ record: AuditRecord) -> String {
    let path = record.executablePath?.bytes ?? []
    let name = path.split(separator: UInt8(ascii: "/")).last.map { ByteString(bytes: Array($0)).escaped }
    var parts = [record.application?.escaped, name].compactMap { $0 }
    if let pid = record.pid { parts.append("\(pid)") }
    return parts.joined(separator: " ")
  }

  private static func role(of record: AuditRecord) -> CellStyle.Role {
    switch record.kind.verdict {
    case .refused: .bad
    case .allowed: .good
    case .ended: .doubtful
    case .other: .plain
    }
  }

  /// The columns' widths: the last three share what the others leave, and none gets more than it needs.
  private static func columns(_ rows: [[String]], room: Int) -> [Int] {
    var widths = head.indices.map { index in rows.map { $0[index].columns }.max() ?? 0 }
    // What is cut off a sequence number or a time is worse than a short name.
    var left = max(0, room - widths[..<3].reduce(0, +) - head.count + 1)
    var open = Array(head.indices.dropFirst(3))
    while !open.isEmpty {
      let share = left / open.count
      let modest = open.filter { widths[$0] <= share }
      if modest.isEmpty {
        for index in open { widths[index] = share }
        return widths
      }
      for index in modest { left -= widths[index] }
      open.removeAll { modest.contains($0) }
    }
    return widths
  }

  private func put(
    _ cells: [String], _ columns: [Int], row: Int, style: (Int) -> CellStyle, _ screen: inout Screen
  ) {
    var column = 0
    for (index, width) in columns.enumerated() {
      guard width > 0 else { continue }
      let indent = index == 0 ? max(0, width - cells[0].columns) : 0
      screen.put(cells[index], row: row, column: column + indent, room: width - indent, style: style(index))
      column += width + 1
    }
  }

  // MARK: The pane

  func paneLines(columns: Int) -> [Detail.Line] {
    guard let detail else { return [Detail.Line(text: "reading what came before …", style: .faint, indent: 0)] }
    return detail.wrapped(columns: columns)
  }

  func drawPane(_ layout: Layout, _ screen: inout Screen) {
    guard let place = layout.pane, let pane, !place.rows.isEmpty, place.columns.count > 1 else { return }
    let lines = paneLines(columns: place.columns.count - 1)
    let rows = max(0, place.rows.count - 1)
    let first = max(0, min(paneTop, lines.count - rows))
    let left = place.columns.lowerBound
    let more = lines.count > rows ? ", lines \(first + 1) to \(min(lines.count, first + rows)) of \(lines.count)" : ""
    screen.put(
      " why \(pane)\(more)", row: place.rows.lowerBound, column: left, room: place.columns.count, style: .bar,
      fills: true)
    for (offset, line) in lines[first..<min(lines.count, first + rows)].enumerated() {
      screen.put(
        line.text, row: place.rows.lowerBound + 1 + offset, column: left + 1, room: place.columns.count - 1,
        style: line.style)
    }
    if left > 0 {
      for row in place.rows { screen.put("│", row: row, column: left - 1, style: .faint) }
    }
  }
}

/// A table, as text in columns or as Markdown.
struct Grid {
  var title: String
  var header: [String]
  var rows: [[String]] = []

  var text: String {
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    let lines = ([header] + rows).map { row in
      let cells = zip(row, widths).enumerated().map { column, cell in
        let space = String(repeating: " ", count: cell.1 - cell.0.count)
        return column == 0 ? cell.0 + space : space + cell.0
      }
      return cells.joined(separator: "  ")
    }
    return "\(title)\n" + lines.joined(separator: "\n") + "\n"
  }

  var markdown: String {
    let rule = header.indices.map { $0 == 0 ? "---" : "---:" }
    let lines = ([header, rule] + rows).map { "| " + $0.joined(separator: " | ") + " |" }
    return "**\(title)**\n\n" + lines.joined(separator: "\n") + "\n"
  }
}

/// Microseconds, to three digits.
func microseconds(_ nanoseconds: Double) -> String {
  let value = nanoseconds / 1000
  switch value {
  case ..<1: return fixed(value, 3)
  case ..<10: return fixed(value, 2)
  case ..<100: return fixed(value, 1)
  default: return fixed(value, 0)
  }
}

func fixed(_ value: Double, _ digits: Int) -> String {
  var scale = 1
  for _ in 0..<digits { scale *= 10 }
  let scaled = Int((value * Double(scale)).rounded())
  guard digits > 0 else { return String(scaled) }
  let fraction = String(scaled % scale)
  return "\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
}

func bytes(_ size: Int) -> String { size < 1024 ? "\(size) B" : "\(size / 1024) KiB" }

extension Results {
  /// Which object is acquired, and what a row of it is compared with.
  private static let acquisitions = [
    ("open disk", "A descriptor or channel for a disk"),
    ("bind port", "A socket bound to port 80"),
    ("start program", "A program started, until it ends"),
  ]

  var grids: [Grid] {
    var grids: [Grid] = []
    for (operation, title) in Self.acquisitions {
      let ways = waysAndDepths([operation], placement: Self.placements[0]).map(\.way)
      if ways.isEmpty { continue }
      var grid = Grid(
        title: "Acquiring: \(title), µs",
        header: ["", "one processor: median", "p99", "against the first", "two processors: median", "p99"])
      for way in ways {
        var cells = [way]
        for placement in Self.placements {
          guard let row = row(operation, way: way, placement: placement) else {
            cells += ["", ""]
            continue
          }
          cells += [microseconds(row.median), microseconds(row.p99)]
          if placement == Self.placements[0] {
            cells.append(baseline(of: row).map { fixed(row.median / $0.median, 1) + "×" } ?? "")
          }
        }
        grid.rows.append(cells)
      }
      grids.append(grid)
    }
    for placement in Self.placements {
      for (title, operations) in [
        ("a disk", ["read", "write"]), ("a UDP socket", ["udp send", "udp receive"]),
        ("a TCP connection", ["tcp send", "tcp receive"]),
      ] {
        if let grid = operationGrid(title, operations, placement) { grids.append(grid) }
      }
    }
    return grids
  }

  private func operationGrid(_ title: String, _ operations: [String], _ placement: String) -> Grid? {
    let ways = waysAndDepths(operations, placement: placement)
    if ways.isEmpty { return nil }
    let columns = operations.flatMap { operation in
      Set(rows.filter { $0.operation == operation }.map(\.size)).sorted().map { (operation, $0) }
    }
    var grid = Grid(
      title: "One operation on \(title), \(placement), µs: median (p99)",
      header: ["", "at once"] + columns.map { "\($0.0) \(bytes($0.1))" })
    for (way, depth) in ways {
      grid.rows.append(
        [way, String(depth)]
          + columns.map { operation, size in
            row(operation, size: size, depth: depth, way: way, placement: placement).map {
              "\(microseconds($0.median)) (\(microseconds($0.p99)))"
            } ?? ""
          })
    }
    return grid
  }
}

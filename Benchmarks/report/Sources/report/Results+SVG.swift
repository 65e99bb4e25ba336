import Glibc

extension Results {
  /// A bar for each way to read 4 KiB, in both placements; lengths are logarithms.
  var svg: String {
    let operation = "read"
    let size = 4096
    let ways = waysAndDepths([operation], placement: Self.placements[0])
    let bars = ways.flatMap { way, depth in
      Self.placements.compactMap { row(operation, size: size, depth: depth, way: way, placement: $0) }
    }
    guard let least = bars.map(\.median).min(), let most = bars.map(\.p99).max() else { return "" }
    let low = pow(10, log10(least).rounded(.down))
    let high = pow(10, log10(most).rounded(.up))
    let left = 230.0
    let width = 560.0
    func x(_ value: Double) -> Double { left + width * log10(value / low) / log10(high / low) }

    var shapes: [String] = []
    var y = 78.0
    for (way, depth) in ways {
      let name = depth == 1 ? way : "\(way), \(depth) at once"
      let rows = Self.placements.compactMap { row(operation, size: size, depth: depth, way: way, placement: $0) }
      shapes.append(
        text(left - 8, y + 7 * Double(rows.count) + 4, escaped(name), anchor: "end"))
      for row in rows {
        let kind = row.placement == Self.placements[0] ? "one" : "two"
        shapes.append(
          "<rect class=\"\(kind)\" x=\"\(fixed(left, 1))\" y=\"\(fixed(y, 1))\" "
            + "width=\"\(fixed(max(1, x(row.median) - left), 1))\" height=\"12\"/>"
            + "<path class=\"tail\" d=\"M\(fixed(x(row.median), 1)) \(fixed(y + 6, 1))H\(fixed(x(row.p99), 1))"
            + "m0 -4v8\"/>" + text(x(row.p99) + 6, y + 10, microseconds(row.median)))
        y += 14
      }
      y += 8
    }
    var grid: [String] = []
    var tick = low
    while tick <= high * 1.01 {
      grid.append(
        "<path class=\"grid\" d=\"M\(fixed(x(tick), 1)) 70V\(fixed(y, 1))\"/>"
          + text(x(tick), 64, tick < 1000 ? "\(Int(tick)) ns" : "\(Int(tick / 1000)) µs", anchor: "middle"))
      tick *= 10
    }
    let machine = context.filter { ["machine", "kernel", "date"].contains($0.key) }.map(\.value)
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 \(fixed(y + 30, 0))" font-family="sans-serif" \
      font-size="12">
      <style>
      svg { background: #fff; color: #222 } text { fill: currentColor } .grid { stroke: #ccc; fill: none }
      .one { fill: #2a6fb0 } .two { fill: #d98a29 } .tail { stroke: currentColor; fill: none }
      @media (prefers-color-scheme: dark) { svg { background: #16181c; color: #ddd } .grid { stroke: #444 } }
      </style>
      \(text(16, 24, "Reading 4 KiB of a disk through the page cache: median of one operation; the whisker ends at the p99", size: 14))
      <rect class="one" x="16" y="34" width="12" height="12"/>\(text(34, 44, "one processor"))
      <rect class="two" x="140" y="34" width="12" height="12"/>\(text(158, 44, "client and server on two"))
      \((grid + shapes).joined(separator: "\n"))
      \(text(16, y + 18, escaped(machine.joined(separator: ", "))))
      </svg>

      """
  }

  private func text(_ x: Double, _ y: Double, _ words: String, anchor: String = "start", size: Int = 12) -> String {
    "<text x=\"\(fixed(x, 1))\" y=\"\(fixed(y, 1))\" text-anchor=\"\(anchor)\" font-size=\"\(size)\">\(words)</text>"
  }

  private func escaped(_ text: String) -> String {
    text.map { ["<": "&lt;", ">": "&gt;", "&": "&amp;"][$0] ?? String($0) }.joined()
  }
}

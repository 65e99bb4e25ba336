import Audit

/// Records over time: as many bars as fit a line, each as long as some round span.
///
/// Records may come one by one for as long as one likes: when time has run past the last bar, bars are joined in pairs.
public struct Histogram: Sendable {
  /// Nanoseconds of one bar.
  public private(set) var span: UInt64
  public let width: Int
  private var counts: [UInt64] = []
  /// The first bar's beginning, a multiple of `span`.
  private var start: UInt64 = 0

  /// - Parameters:
  ///   - width: the most bars there will be, at least 2.
  ///   - span: nanoseconds of one bar at the beginning.
  public init(width: Int, span: UInt64 = 1_000_000_000) {
    self.width = max(2, width)
    self.span = max(1, span)
  }

  /// Counts a record of this wall time, in nanoseconds.
  public mutating func take(_ time: UInt64, count: UInt64 = 1) {
    if counts.isEmpty {
      start = time / span * span
      counts = [0]
    }
    while true {
      if time < start {
        // Times come from records, where any may stand: nothing here is added to one.
        let missing = (start - time - 1) / span + 1
        if missing > UInt64(width - counts.count) {
          join()
          continue
        }
        counts.insert(contentsOf: repeatElement(0, count: Int(missing)), at: 0)
        start -= missing * span
      }
      let index = (time - start) / span
      if index >= UInt64(width) {
        join()
        continue
      }
      while counts.count <= Int(index) { counts.append(0) }
      counts[Int(index)] += count
      return
    }
  }

  /// Makes bars of twice the span, which begin at multiples of it.
  private mutating func join() {
    let isOdd = start / span % 2 == 1
    var joined: [UInt64] = []
    for (index, count) in counts.enumerated() {
      let target = (index + (isOdd ? 1 : 0)) / 2
      if joined.count <= target { joined.append(0) }
      joined[target] += count
    }
    if isOdd { start -= span }
    counts = joined
    span *= 2
  }

  /// Each bar's beginning in wall nanoseconds, and how many records it has.
  public var bars: [(start: UInt64, count: UInt64)] {
    counts.enumerated().map { (start + UInt64($0.offset) * span, $0.element) }
  }

  /// Eighths of a block, U+2581 to U+2588, one character a bar; a bar with records is never empty.
  public func lines(height: Int) -> [String] {
    let most = counts.max() ?? 0
    guard most > 0, height > 0 else { return [] }
    let eighths = counts.map { count -> Int in
      let scaled = Int((Double(count) / Double(most) * Double(height * 8)).rounded())
      return count > 0 ? max(1, scaled) : 0
    }
    return (0..<height).reversed().map { row in
      let line = eighths.map { level -> Character in
        let part = min(8, max(0, level - row * 8))
        return part == 0 ? " " : Character(Unicode.Scalar(UInt32(0x2580 + part)) ?? " ")
      }
      return String(line)
    }
  }

  /// The span as people say it, exactly: `1 s`, `64 s`, `2 h`.
  public var spanText: String {
    let units: [(UInt64, String)] = [
      (86_400_000_000_000, "d"), (3_600_000_000_000, "h"), (60_000_000_000, "min"), (1_000_000_000, "s"),
      (1_000_000, "ms"), (1000, "µs"),
    ]
    for (unit, name) in units where span.isMultiple(of: unit) { return "\(span / unit) \(name)" }
    return "\(span) ns"
  }
}

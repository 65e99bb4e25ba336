import Histogram

/// One way to do one operation, in one placement; nanoseconds of one operation.
struct Row {
  var operation: String
  var size: Int
  var depth: Int
  var way: String
  var placement: String
  var samples: Int
  var median: Double
  var p99: Double

  /// The row of a line `samples`: operation, size, depth, way, placement, and nanoseconds of `depth` operations each.
  init?(_ fields: [Substring]) {
    guard fields.count == 7, let size = Int(fields[2]), let depth = Int(fields[3]), depth > 0 else { return nil }
    // A quarter of a thousandth is the most that three digits can be wrong by, a minute the longest.
    var histogram = Histogram<UInt32>(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
    for text in fields[6].split(separator: " ") {
      guard let value = UInt64(text), histogram.record(value) else { return nil }
    }
    guard histogram.totalCount > 0 else { return nil }
    operation = String(fields[1])
    self.size = size
    self.depth = depth
    way = String(fields[4])
    placement = String(fields[5])
    samples = Int(histogram.totalCount)
    median = Double(histogram.valueAtPercentile(50)) / Double(depth)
    p99 = Double(histogram.valueAtPercentile(99)) / Double(depth)
  }
}

/// Everything that one run said.
struct Results {
  static let placements = ["one processor", "two processors"]

  var rows: [Row] = []
  /// Every way, measured or not, in the order that tables have.
  var ways: [String] = []
  /// What the machine was, in the order said.
  var context: [(key: String, value: String)] = []
  /// Which ways were not measured, and why.
  var gaps: [(way: String, why: String)] = []

  mutating func read(_ line: String) -> Bool {
    let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
    switch (fields.first, fields.count) {
    case ("samples", _):
      guard let row = Row(fields) else { return false }
      rows.append(row)
    case ("way", 2): ways.append(String(fields[1]))
    case ("context", 3): context.append((String(fields[1]), String(fields[2])))
    case ("gap", 3): gaps.append((String(fields[1]), String(fields[2])))
    default: return false
    }
    return true
  }

  func row(_ operation: String, size: Int = 0, depth: Int = 1, way: String, placement: String) -> Row? {
    rows.first {
      $0.operation == operation && $0.size == size && $0.depth == depth && $0.way == way && $0.placement == placement
    }
  }

  /// What a way is measured against: the same operation with nobody in between.
  func baseline(of row: Row) -> Row? {
    let way = row.operation == "start program" ? "no privilege" : "plain"
    return self.row(row.operation, size: row.size, way: way, placement: Self.placements[0])
  }

  /// The ways and depths that do one of these operations.
  func waysAndDepths(_ operations: [String], placement: String) -> [(way: String, depth: Int)] {
    var found: [(way: String, depth: Int)] = []
    for row in rows where operations.contains(row.operation) && row.placement == placement {
      if !found.contains(where: { $0 == (row.way, row.depth) }) { found.append((row.way, row.depth)) }
    }
    return found.sorted {
      (ways.firstIndex(of: $0.way) ?? 0, $0.depth) < (ways.firstIndex(of: $1.way) ?? 0, $1.depth)
    }
  }
}

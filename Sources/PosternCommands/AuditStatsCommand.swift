import ArgumentParser
import Audit
import AuditAnalysis

struct AuditStatsCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats",
    abstract: "Count records by some of their fields, with first and last seen, and over time.")

  @Option(
    help: ArgumentHelp(
      "Count by these, together: \(StatisticsKey.allCases.map(\.rawValue).joined(separator: ", ")).",
      valueName: "key,…"), transform: ArgumentReading.statisticsKeys)
  var by: [StatisticsKey] = [.reason, .object]

  @Option(
    help: ArgumentHelp("Only the groups with the most records.", valueName: "count"), transform: ArgumentReading.count)
  var top: UInt32 = 20

  @OptionGroup var filter: AuditFilterOptions
  @OptionGroup var global: GlobalOptions

  private static let width = 64
  private static let height = 4

  func perform(_ session: Session) throws(CommandFailure) {
    let source = try filter.source(session)
    var statistics = Statistics(keys: by)
    var histogram = Histogram(width: Self.width)
    try source.forEach { record in
      statistics.take(record)
      histogram.take(record.time.wall)
    }
    let groups = statistics.top(Int(top))
    if session.format == .json {
      var writer = JSONWriter()
      statistics.write(groups, histogram: histogram, to: &writer)
      return try session.print(writer.text + "\n")
    }
    guard statistics.records > 0 else {
      for line in source.whyEmpty() { session.warn(line) }
      return
    }
    try session.print(Self.drawing(histogram))
    var table = Table(
      columns: by.map { Table.Column($0.rawValue.uppercased()) }
        + [Table.Column("COUNT", .right), Table.Column("FIRST SEEN"), Table.Column("LAST SEEN")])
    table.rows = groups.map { group in
      group.values.map { Table.Cell(escaped: $0?.escaped ?? "") }
        + [
          Table.Cell(group.count), Table.Cell(Timestamp.short(group.first)), Table.Cell(Timestamp.short(group.last)),
        ]
    }
    try session.print(table.text(coloured: session.isColoured))
    let hidden = statistics.groupCount - groups.count
    if hidden > 0 { session.warn("\(hidden) more groups; --top shows more") }
    if statistics.notKept > 0 {
      session.warn("\(statistics.notKept) records were not kept, for want of room in the queue")
    }
  }

  /// Bars above a line with the times of both ends.
  static func drawing(_ histogram: Histogram) -> String {
    let bars = histogram.bars
    guard let first = bars.first, let last = bars.last else { return "" }
    let most = bars.map(\.count).max() ?? 0
    let scale = "\(most) "
    let margin = String(repeating: " ", count: scale.count)
    var text = ""
    for (index, line) in histogram.lines(height: height).enumerated() {
      text += (index == 0 ? scale : margin) + line + "\n"
    }
    let from = Timestamp.short(first.start)
    let to = bars.count > 1 ? " … \(Timestamp.short(last.start))" : ""
    return text + margin + String(repeating: "▔", count: bars.count) + "\n"
      + margin + "\(from)\(to), \(histogram.spanText) a bar\n\n"
  }
}

import Audit
import AuditAnalysis

/// What one open page shows: the records that match its filter, as messages for the page, each with what is new.
public struct LiveView: Sendable {
  /// Rows of one message, and pairs of its graph.
  public static let mostRows = 300
  public static let mostPairs = 60

  private struct Pair: Sendable, Hashable {
    var application: ByteString
    var object: ByteString
  }

  private struct Count: Sendable {
    var allowed = 0
    var refused = 0
  }

  private var diagnosis: FilterDiagnosis
  private let mistake: String?
  private var histogram = Histogram(width: 120)
  private var pairs: [Pair: Count] = [:]
  private var next: Int?
  private var lastObstacle: String?
  /// Records that no journal kept and that gap records count.
  private var dropped: UInt64 = 0
  /// Records that say the same as the one that matched before them, but for their number and time.
  private var repeats = 0
  private var last: AuditRecord?

  /// - Parameter time: reads what stands behind `since` and `until`.
  public init(filter text: String, time: (String) -> UInt64?) {
    do {
      diagnosis = FilterDiagnosis(try AuditFilter(parsing: text, time: time))
      mistake = nil
    } catch {
      diagnosis = FilterDiagnosis(AuditFilter())
      mistake = ByteString(error.text).escaped
    }
  }

  /// One JSON object on one line with what has come since the last one; nil: nothing has.
  ///
  /// - Parameters:
  ///   - skipped: how many were passed over, since they came faster than they were read.
  ///   - obstacle: why nothing comes; escaped.
  public mutating func message(from kept: KeptRecords, skipped: UInt64 = 0, obstacle: String?) -> String? {
    let isFirst = next == nil
    guard isFirst || next != kept.end || obstacle != lastObstacle else { return nil }
    lastObstacle = obstacle
    var rows: [AuditRecord] = []
    if mistake == nil {
      for position in max(kept.first, next ?? 0)..<max(kept.end, next ?? 0) {
        guard let record = kept[position] else { continue }
        record.gap?.addLost(to: &dropped)
        guard diagnosis.take(record) else { continue }
        count(record)
        rows.append(record)
        if rows.count >= 2 * Self.mostRows { rows.removeFirst(rows.count - Self.mostRows) }
      }
    }
    next = kept.end
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("first", isFirst)
    writer.field("kept", kept.count)
    writer.field("isFull", kept.isFull)
    writer.field("from", kept[kept.first]?.sequence)
    writer.field("last", kept[kept.end - 1].map { $0.nextSequence - 1 })
    writer.field("skipped", skipped)
    writer.field("dropped", dropped)
    writer.field("repeats", repeats)
    writer.field("matched", diagnosis.matched)
    writer.field("obstacle", obstacle)
    writer.field("mistake", mistake)
    // A text that is no filter was held against nothing.
    writer.field("empty", lines: mistake == nil ? diagnosis.explanation { "\($0.key):\($0.value.escaped)" } : [])
    writer.field("span", histogram.spanText)
    writer.key("bars")
    writer.beginArray()
    for bar in histogram.bars {
      writer.beginObject()
      writer.field("start", Viewer.clock(bar.start))
      writer.field("count", bar.count)
      writer.endObject()
    }
    writer.endArray()
    writePairs(to: &writer)
    writer.key("rows")
    writer.beginArray()
    for record in rows.suffix(Self.mostRows) {
      Self.write(record, to: &writer)
    }
    writer.endArray()
    writer.endObject()
    return writer.text
  }

  private static func write(_ record: AuditRecord, to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("sequence", record.sequence)
    writer.field("verdict", record.kind.verdict.rawValue)
    var cells = record.tableRow
    cells[1] = Viewer.clock(record.time.wall)
    writer.field("cells", lines: cells)
    writer.endObject()
  }

  private mutating func count(_ record: AuditRecord) {
    histogram.take(record.time.wall)
    if let last, record.repeats(last) { repeats += 1 }
    last = record
    guard let object = record.object else { return }
    let verdict = record.kind.verdict
    guard verdict == .refused || verdict == .allowed else { return }
    let pair = Pair(application: record.application ?? ByteString(""), object: object)
    // Whoever asks chooses the names: there may be any number.
    guard pairs[pair] != nil || pairs.count < 5000 else { return }
    if verdict == .refused { pairs[pair, default: Count()].refused += 1 }
    if verdict == .allowed { pairs[pair, default: Count()].allowed += 1 }
  }

  private func writePairs(to writer: inout JSONWriter) {
    let sorted = pairs.sorted { left, right in
      if left.value.refused != right.value.refused { return left.value.refused > right.value.refused }
      if left.value.allowed != right.value.allowed { return left.value.allowed > right.value.allowed }
      return (left.key.object.escaped, left.key.application.escaped)
        < (right.key.object.escaped, right.key.application.escaped)
    }
    writer.key("pairs")
    writer.beginArray()
    for (pair, count) in sorted.prefix(Self.mostPairs) {
      writer.beginObject()
      writer.field("application", pair.application.escaped)
      writer.field("object", pair.object.escaped)
      writer.field("allowed", count.allowed)
      writer.field("refused", count.refused)
      writer.endObject()
    }
    writer.endArray()
    writer.field("hiddenPairs", max(0, pairs.count - Self.mostPairs))
  }
}

extension LiveView {
  /// One JSON object: records that a search behind the kept ones has found, oldest first.
  ///
  /// - Parameter from: down to this number everything was looked at.
  public static func found(_ records: [AuditRecord], from: UInt64) -> String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("from", from)
    writer.key("rows")
    writer.beginArray()
    for record in records { write(record, to: &writer) }
    writer.endArray()
    writer.endObject()
    return writer.text
  }
}

extension Detail {
  /// One JSON object: what is told of a record, for the page.
  public static func json(
    sequence: UInt64, parts: [Explanation.Part], suggestion: [String], diff: [String]
  ) -> String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("sequence", sequence)
    writer.key("parts")
    writer.beginArray()
    for part in parts {
      writer.beginObject()
      writer.field("title", part.title)
      writer.field("lines", lines: part.lines)
      writer.endObject()
    }
    writer.endArray()
    writer.field("suggestion", lines: suggestion)
    writer.field("diff", lines: diff)
    writer.endObject()
    return writer.text
  }
}

import Audit
import Instructions

extension Suggestion {
  /// For people, one line each, escaped; the diff is not among them.
  public var lines: [String] {
    var lines = ["record \(record.sequence): \(record.reason?.name ?? record.kind.name)"]
    if !observed.isEmpty { lines.append("observed: \(observed)") }
    if !granted.isEmpty { lines.append("granted:  \(granted)") }
    lines += changes.map { "change:   \($0)" }
    lines += alsoAllows.map { "reaches:  \($0)" }
    lines += warnings.map { "warning:  \($0)" }
    lines += remarks.map { "note:     \($0)" }
    lines += commands.map { "run:      \($0)" }
    return lines
  }

  /// One JSON object: the suggestions, and the whole diff.
  public static func write(_ suggestions: [Suggestion], diff: String, to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("suggestions")
    writer.beginArray()
    for suggestion in suggestions { suggestion.write(to: &writer) }
    writer.endArray()
    writer.field("diff", diff)
    writer.endObject()
  }

  private func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("sequence", record.sequence)
    writer.field("reason", record.reason?.name)
    writer.field("observed", observed)
    writer.field("granted", granted)
    for (key, list) in [
      ("changes", changes), ("reaches", alsoAllows), ("warnings", warnings), ("notes", remarks), ("commands", commands),
    ] {
      writer.field(key, lines: list)
    }
    writer.endObject()
  }
}

import Audit
import Authority
import Instructions

extension Explanation {
  /// One JSON object: the record, the parts as `parts` has them, and what a program may want to know.
  public func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("record")
    record.write(to: &writer)
    for part in parts where part.title != "record" {
      writer.key(part.title)
      writer.beginArray()
      for line in part.lines { writer.string(line) }
      writer.endArray()
    }
    writer.key("rule")
    writer.beginObject()
    writer.field("application", record.application)
    writer.field("cause", record.circumstances?.cause?.name)
    writer.field("mismatch", record.circumstances?.mismatch?.rawValue)
    writer.endObject()
    writer.field("replayed", replayed?.name)
    writer.key("beforeSequences")
    writer.beginArray()
    for earlier in history.own { writer.number(earlier.sequence) }
    writer.endArray()
    writer.endObject()
  }
}

extension Replayed {
  /// One JSON object: the record's number and verdict, and what it would be.
  public func write(_ record: AuditRecord, to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("sequence", record.sequence)
    writer.field("verdict", record.kind.verdict.rawValue)
    writer.field("recorded", record.reason?.name)
    writer.field("replayed", name)
    switch self {
    case .same, .nowAllowed: break
    case .nowRefused(let reason, let detail):
      writer.field("reason", reason.name)
      if detail != .none { writer.field("detail", detail.name) }
    case .undecidable(let why): writer.field("why", why)
    }
    writer.field("object", record.object)
    writer.field("application", record.application)
    writer.field("operation", record.operation?.name)
    writer.field("pid", record.pid)
    writer.field("uid", record.uid)
    writer.endObject()
  }
}

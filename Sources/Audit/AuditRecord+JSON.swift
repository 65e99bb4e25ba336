import Authority
import Instructions
import Linux

extension AuditRecord {
  /// `EACCES`; nil where the record has no errno.
  public var errnoSymbol: String? { errno.map { SystemError.symbol(of: $0) } }

  /// One JSON object on one line, without a newline.
  ///
  /// The keys of the contract are always there, null where the record has nothing; the others only where it has.
  public var json: String {
    var writer = JSONWriter()
    write(to: &writer)
    return writer.text
  }

  /// Writes the record as one JSON object.
  public func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("sequence", sequence)
    writer.field("time", time.text)
    writer.field("kind", kind.name)
    writer.field("reason", reason?.name)
    writer.field("errno", errnoSymbol)
    writer.field("path", path?.name)
    writer.field("operation", operation?.name)
    writer.field("object", object)
    writer.field("application", application)
    writer.field("pid", pid)
    writer.field("uid", uid)
    writer.field("executable", executablePath)
    if let executable { writer.field("executableID", "\(executable.device):\(executable.inode)") }
    if let tid { writer.field("tid", tid) }
    if let processStart { writer.field("start", processStart) }
    if let cgroup { writer.field("cgroup", cgroup) }
    if let association { writer.field("association", association.rawValue) }
    if let generation { writer.field("generation", generation) }
    if let detail { writer.field("detail", detail.name) }
    if let cause { writer.field("cause", cause.name) }
    if let grant { writer.field("grant", grant) }
    if let message { writer.field("message", message) }
    writeOperands(to: &writer)
    if let gap { write(gap, to: &writer) }
    if let repair {
      writer.key("repair")
      writer.beginObject()
      writer.field("segment", repair.segment)
      writer.field("offset", repair.offset)
      writer.field("lost", repair.lost)
      writer.endObject()
    }
    if let circumstances { write(circumstances, to: &writer) }
    if let removal {
      writer.key("removal")
      writer.beginObject()
      writer.field("first", removal.first)
      writer.field("last", removal.last)
      writer.endObject()
    }
    if let runtimeGrant {
      writer.field("runtimeGrant", runtimeGrant.id)
      writer.field("expires", runtimeGrantExpires?.text)
    }
    if !redacted.isEmpty {
      writer.key("redacted")
      writer.beginArray()
      for name in redacted.names { writer.string(name) }
      writer.endArray()
    }
    if isTruncated { writer.field("truncated", true) }
    writer.field("boottime", time.boottime)
    writer.field("boot", boot.text)
    writer.endObject()
  }

  private func writeOperands(to writer: inout JSONWriter) {
    if let operations {
      writer.key("operations")
      writer.beginArray()
      for name in operations.names { writer.string(name) }
      writer.endArray()
    }
    guard let operands else { return }
    writer.key("operands")
    writer.beginObject()
    writer.field("offset", operands.offset)
    writer.field("length", operands.length)
    writer.field("request", operands.request)
    if let address = operands.address { writer.field("address", address.text) }
    writer.endObject()
  }

  private func write(_ circumstances: Circumstances, to writer: inout JSONWriter) {
    writer.key("judged")
    writer.beginObject()
    writer.field("question", circumstances.question.name)
    if let cause = circumstances.cause { writer.field("cause", cause.name) }
    if let mismatch = circumstances.mismatch { writer.field("mismatch", mismatch.rawValue) }
    writer.field("gid", circumstances.effectiveGID)
    writer.key("groups")
    writer.beginArray()
    for group in circumstances.supplementaryGIDs { writer.number(group) }
    writer.endArray()
    if let traced = circumstances.isTraced { writer.field("traced", traced) }
    writer.field("descends", circumstances.descendsFromHolder)
    writer.endObject()
  }

  private func write(_ gap: Gap, to writer: inout JSONWriter) {
    writer.key("gap")
    writer.beginObject()
    writer.field("first", gap.first)
    writer.field("last", gap.last)
    writer.key("counts")
    writer.beginObject()
    for count in gap.counts { writer.field(count.reason?.name ?? "none", count.count) }
    writer.endObject()
    writer.endObject()
  }
}

extension JournalItem {
  /// One JSON object on one line: a record, or what could not be read (`kind` is then `damaged` or `unknown`).
  public var json: String {
    if case .record(let record) = self { return record.json }
    var writer = JSONWriter()
    writer.beginObject()
    switch self {
    case .record: break
    case .damaged(let segment, let offset, let length):
      writer.field("kind", "damaged")
      writer.field("segment", segment)
      writer.field("offset", offset)
      writer.field("length", length)
    case .unknown(let sequence, let error):
      writer.field("sequence", sequence)
      writer.field("kind", "unknown")
      writer.field("error", "\(error)")
    }
    writer.endObject()
    return writer.text
  }
}

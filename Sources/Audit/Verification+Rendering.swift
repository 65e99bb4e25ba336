extension Verification {
  /// Both verdicts and what they rest on, a line each; nothing in them can act on a terminal.
  public var lines: [String] {
    var lines = ["integrity: \(integrity.rawValue): \(integrityText)"]
    lines += findings.prefix(20).map {
      "  record \($0.sequence), segment \($0.segment): \($0.kind.rawValue): \($0.text)"
    }
    if findingCount > 20 { lines.append("  and \(findingCount - 20) more") }
    lines.append("completeness: \(completenessText)")
    lines += missing.prefix(20).map { "  missing: \($0.text)" }
    if missing.count > 20 { lines.append("  and \(missing.count - 20) more ranges") }
    if lostEpochs > 0 {
      lines.append(
        "  missing: the end, of unknown length: the key beside the journal is \(lostEpochs) "
          + "\(lostEpochs == 1 ? "epoch" : "epochs") ahead of the last record, and an epoch ends only behind one")
    }
    for tail in repairs.prefix(20) {
      let place = "\(tail.repair.lost) bytes at \(tail.repair.offset) of segment \(tail.repair.segment)"
      let unsaid =
        tail.isWithdrawn
        ? "  withdrawn: \(place), which a sync failed for"
        : "  torn tail: \(place), to be cut when a broker opens the journal"
      lines.append(tail.sequence.map { "  repaired: \(place) were cut; record \($0) says so" } ?? unsaid)
    }
    if repairs.count > 20 { lines.append("  and \(repairs.count - 20) more repairs") }
    if removed > 0 { lines.append("  removed by the retention: 1-\(removed)") }
    if dropped > 0 { lines.append("  not kept, but counted in gap records: \(dropped)") }
    if unverified > 0 { lines.append("  could not be compared, because they follow something bad: \(unverified)") }
    if let openFrom {
      lines.append("  from record \(openFrom) on the key is still on the machine: who took it can have changed them")
    }
    if isKeyWaiting {
      lines.append("  the first key still lies beside the journal: `postern audit key` takes it away")
    }
    if lacksKeyFile {
      lines.append("  the key that continues the chain is not there: whether the end is cannot be told")
    }
    for result in checkpoints {
      lines.append("checkpoint at \(result.checkpoint.position.sequence): \(result.outcome.text)")
    }
    return lines
  }

  private var integrityText: String {
    switch integrity {
    case .violated:
      return "the first bad record is \(firstBad ?? 0); \(findingCount) \(findingCount == 1 ? "finding" : "findings")"
    case .intact: return records > 0 ? "\(records) records, each with its tag under the first key" : "no records"
    case .unkeyed:
      guard records > 0 else { return "no records" }
      return "\(records) records without contradiction; give the first key (--key) to find what was changed on purpose"
    case .uncovered:
      guard records > 0, let unkeyedFrom else { return "no records, and the chain's first key was not given" }
      let from = unkeyedFrom > kept?.first ?? 0 ? ", from \(unkeyedFrom) on," : ""
      return "\(unkeyed) of \(records) records\(from) have their tags under a first key that was not given: "
        + "another chain, by a broker that had lost its key, or by somebody who sealed them anew"
    }
  }

  private var completenessText: String {
    guard let kept else { return "\(completeness.rawValue): no records" }
    let upTo = missing.last.map { max($0.last, kept.last) } ?? kept.last
    switch completeness {
    case .complete: return "complete up to \(kept.last)"
    case .repaired: return "repaired, complete up to \(kept.last)"
    case .incomplete:
      if missing.isEmpty { return "incomplete: what followed record \(kept.last) is missing" }
      let count = missing.reduce(0) { $0 &+ ($1.last &- $1.first &+ 1) }
      return "incomplete: \(count) of the records up to \(upTo) are missing"
    }
  }

  /// One JSON object on one line, without a newline.
  public var json: String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("integrity")
    writer.beginObject()
    writer.field("verdict", integrity.rawValue)
    writer.field("firstBad", firstBad)
    writer.field("findingCount", findingCount)
    writer.key("findings")
    writer.beginArray()
    for finding in findings {
      writer.beginObject()
      writer.field("kind", finding.kind.rawValue)
      writer.field("sequence", finding.sequence)
      writer.field("segment", finding.segment)
      writer.field("text", finding.text)
      writer.endObject()
    }
    writer.endArray()
    writer.field("unverified", unverified)
    writer.field("unkeyedFrom", unkeyedFrom)
    writer.field("unkeyed", unkeyed)
    writer.field("openFrom", openFrom)
    writer.endObject()
    writeCompleteness(to: &writer)
    writer.field("source", source?.text)
    writer.field("records", records)
    writer.field("keyWaiting", isKeyWaiting)
    writer.field("keyFileMissing", lacksKeyFile)
    writer.key("checkpoints")
    writer.beginArray()
    for result in checkpoints {
      writer.beginObject()
      writer.field("sequence", result.checkpoint.position.sequence)
      writer.field("outcome", result.outcome.rawValue)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return writer.text
  }

  private func writeCompleteness(to writer: inout JSONWriter) {
    writer.key("completeness")
    writer.beginObject()
    writer.field("verdict", completeness.rawValue)
    writer.field("upTo", upTo)
    writer.field("first", kept?.first)
    writer.field("last", kept?.last)
    writer.key("missing")
    writer.beginArray()
    for range in missing {
      writer.beginObject()
      writer.field("first", range.first)
      writer.field("last", range.last)
      writer.endObject()
    }
    writer.endArray()
    writer.field("lostEpochs", lostEpochs)
    writer.key("repairs")
    writer.beginArray()
    for tail in repairs {
      writer.beginObject()
      writer.field("sequence", tail.sequence)
      writer.field("segment", tail.repair.segment)
      writer.field("offset", tail.repair.offset)
      writer.field("lost", tail.repair.lost)
      writer.endObject()
    }
    writer.endArray()
    writer.field("dropped", dropped)
    writer.field("removed", removed)
    writer.endObject()
  }
}

extension Verification.Range {
  fileprivate var text: String { first == last ? "\(first)" : "\(first)-\(last)" }
}

extension Verification.CheckpointResult.Outcome {
  fileprivate var text: String {
    switch self {
    case .matches: "the journal agrees"
    case .differs: "the journal says something else"
    case .beyond: "the journal ends before it"
    case .notKept: "the retention has removed what it speaks of"
    case .foreign: "it is of another journal"
    case .unsigned: "its signature is not valid, or not by the signer of the card"
    }
  }
}

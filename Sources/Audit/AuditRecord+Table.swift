import Authority
import Instructions
import Linux

extension AuditRecord {
  /// The heads of `tableRow`'s columns.
  public static let tableHead = ["SEQUENCE", "TIME", "VERDICT", "WHO", "WHAT", "WHY"]

  /// The record for people, one cell for each head; nothing in a cell can act on a terminal.
  public var tableRow: [String] {
    [String(sequence), time.text, verdict, who, what, why]
  }

  private var verdict: String {
    switch kind {
    case .refusal: "refused"
    case .grant: "granted"
    case .revalidate: "revalidated"
    case .revoke: "revoked"
    case .drop: "dropped"
    case .reload: "reloaded"
    case .use: "used"
    case .gap: "not kept"
    case .start: "started"
    case .stop: "stopped"
    case .repair: "repaired"
    case .runtimeGrant: "grant added"
    case .privileged: "privileged"
    case .intent: "intent"
    case .removal: "removed"
    case .rekey: "new chain"
    case .runtimeGrantEnd: "grant ended"
    }
  }

  private var who: String {
    var parts: [String] = []
    if let application { parts.append(application.escaped) }
    if let pid { parts.append("pid \(pid)") }
    if let uid { parts.append("uid \(uid)") }
    if let executablePath { parts.append(executablePath.escaped) }
    return parts.joined(separator: " ")
  }

  private var what: String {
    var parts: [String] = []
    if let operation {
      parts.append(operation.name)
    } else if let operations {
      parts.append(operations.names.joined(separator: ","))
    }
    if let object { parts.append(object.escaped) }
    if let operands {
      if operands.length != 0 {
        parts.append("\(operands.length)@\(operands.offset)")
      } else if operands.offset != 0 {
        parts.append("@\(operands.offset)")
      }
      if operands.request != 0 { parts.append("request 0x" + String(operands.request, radix: 16)) }
      if let address = operands.address { parts.append(address.text) }
    }
    if let gap { parts.append("\(gap.lost) records" + (gap.last > gap.first ? ", to \(gap.last)" : "")) }
    if let repair { parts.append("\(repair.lost) bytes cut at \(repair.offset) of segment \(repair.segment)") }
    if let expires = runtimeGrantExpires, kind == .runtimeGrant { parts.append("until \(expires.text)") }
    if let removal { parts.append("records \(removal.first) to \(removal.last)") }
    return parts.joined(separator: " ")
  }

  private var why: String {
    var parts: [String] = []
    if let reason { parts.append(reason.name) }
    if let detail, detail != .none { parts.append("(\(detail.name))") }
    if let cause { parts.append(cause.name) }
    if let errno { parts.append(SystemError.symbol(of: errno)) }
    if let grant { parts.append("grant " + grant.escaped) }
    if let gap { parts.append(gap.counts.map { "\($0.reason?.name ?? "none") \($0.count)" }.joined(separator: ", ")) }
    if let message { parts.append("“" + message.escaped + "”") }
    if !redacted.isEmpty { parts.append("[redacted: " + redacted.names.joined(separator: ", ") + "]") }
    return parts.joined(separator: " ")
  }
}

extension JournalItem {
  /// As `AuditRecord.tableRow`; what could not be read has a row too.
  public var tableRow: [String] {
    switch self {
    case .record(let record): record.tableRow
    case .damaged(let segment, let offset, let length):
      ["?", "", "damaged", "", "\(length) bytes at \(offset) of segment \(segment)", "not a record"]
    case .unknown(let sequence, let error): [String(sequence), "", "unknown", "", "", "\(error)"]
    }
  }
}

import Audit
import Authority
import Instructions

/// The Linux audit daemon's text, as ausearch(8) reads it: `type=USER_AVC msg=audit(TIME:SERIAL): …`.
///
/// A text from others is written as the kernel writes one (audit_log_untrustedstring): in quotes, or, where it has a
/// quote, a blank, a control character or a byte beyond ASCII, as hexadecimal digits without quotes.
enum LinuxAuditExport {
  static func line(_ record: AuditRecord) -> String {
    let seconds = record.time.wall / 1_000_000_000
    let milliseconds = String(record.time.wall / 1_000_000 % 1000)
    let fraction = String(repeating: "0", count: 3 - milliseconds.count) + milliseconds
    var fields = [
      "pid=\(record.pid.map { "\($0)" } ?? "0")", "uid=\(record.uid.map { "\($0)" } ?? "4294967295")",
      "auid=4294967295", "ses=4294967295",
    ]
    fields.append("msg='\(message(record))'")
    return
      "type=\(type(record)) msg=audit(\(seconds).\(fraction):\(record.sequence)): \(fields.joined(separator: " "))\n"
  }

  /// linux/audit.h and audit-records.h of the audit user space.
  private static func type(_ record: AuditRecord) -> String {
    switch record.kind {
    case .reload, .runtimeGrant, .runtimeGrantEnd: "USER_MAC_POLICY_LOAD"
    case .start: "SERVICE_START"
    case .stop: "SERVICE_STOP"
    default: "USER_AVC"
    }
  }

  private static func message(_ record: AuditRecord) -> String {
    var words = ["op=postern:\(record.kind.name)"]
    func add(_ key: String, _ value: ByteString?) { if let value { words.append("\(key)=\(untrusted(value))") } }
    func add(_ key: String, _ value: String?) { if let value { words.append("\(key)=\(value)") } }
    add("reason", record.reason?.name)
    add("detail", record.detail?.name ?? record.cause?.name)
    add("errno", record.errnoSymbol)
    add("path", record.path?.name)
    add("operation", record.operation?.name ?? record.operations?.names.joined(separator: ","))
    add("obj", record.object)
    add("app", record.application)
    add("exe", record.executablePath)
    add("cgroup", record.cgroup)
    if let operands = record.operands {
      add("offset", "\(operands.offset)")
      add("length", "\(operands.length)")
      add("addr", operands.address.map { $0.text })
    }
    add("grant", record.grant)
    add("text", record.message)
    if let gap = record.gap { add("lost", "\(gap.lost)") }
    words.append("res=\(record.kind.verdict == .refused ? "failed" : "success")")
    return words.joined(separator: " ")
  }

  static func untrusted(_ text: ByteString) -> String {
    // The apostrophe too: it would end the quoted msg around it.
    let isPlain = text.bytes.allSatisfy { byte in
      (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "'")
    }
    if isPlain { return "\"\(String(decoding: text.bytes, as: UTF8.self))\"" }
    let digits = Array("0123456789ABCDEF".utf8)
    return String(decoding: text.bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}

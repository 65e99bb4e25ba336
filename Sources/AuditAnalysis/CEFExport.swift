import Audit
import Authority
import Instructions

/// ArcSight's Common Event Format, version 0: a head of fields between `|`, then `key=value` pairs.
///
/// The format's own escapes are a backslash before a backslash, before `|` in the head, and before `=` in a value.
/// Control characters and bytes that are not UTF-8 become `\xNN` first, whose backslash is then escaped as any other.
enum CEFExport {
  static func line(_ record: AuditRecord, version: String) -> String {
    let signature = [record.kind.name, record.reason?.name].compactMap { $0 }.joined(separator: ":")
    let title = record.reason.map { "\(record.kind.verdict.rawValue): \($0.name)" } ?? record.kind.name
    let head = ["CEF:0", "Postern", "posternd", version, signature, title, "\(severity(record))"]
    let pairs = pairs(record).map { "\($0.key)=\(value($0.value))" }
    return head.enumerated().map { $0.offset == 0 ? $0.element : field($0.element) }.joined(separator: "|") + "|"
      + pairs.joined(separator: " ") + "\n"
  }

  /// 0 to 10, as the format says.
  private static func severity(_ record: AuditRecord) -> Int {
    switch record.kind {
    case .refusal: record.reason == .noSuchObject ? 5 : 6
    case .gap, .repair: 8
    case .privileged, .reload, .runtimeGrant, .revoke, .intent: 4
    default: 2
    }
  }

  private static func pairs(_ record: AuditRecord) -> [(key: String, value: ByteString)] {
    var pairs: [(String, ByteString)] = [
      ("rt", ByteString("\(record.time.wall / 1_000_000)")), ("externalId", ByteString("\(record.sequence)")),
      ("outcome", ByteString(record.kind.verdict == .refused ? "failure" : "success")),
    ]
    func add(_ key: String, _ value: ByteString?) { if let value { pairs.append((key, value)) } }
    func custom(_ number: Int, _ label: String, _ value: ByteString?) {
      guard let value else { return }
      pairs.append(("cs\(number)Label", ByteString(label)))
      pairs.append(("cs\(number)", value))
    }
    add(
      "act",
      record.operation.map { ByteString($0.name) }
        ?? record.operations.map { ByteString($0.names.joined(separator: ",")) })
    add("reason", record.reason.map { ByteString($0.name) })
    add("spid", record.pid.map { ByteString("\($0)") })
    add("suid", record.uid.map { ByteString("\($0)") })
    add("sproc", record.executablePath)
    if let address = record.operands?.address {
      add("dst", ByteString(address.host))
      add("dpt", ByteString("\(address.port)"))
    }
    custom(1, "object", record.object)
    custom(2, "application", record.application)
    custom(3, "path", record.path.map { ByteString($0.name) })
    custom(4, "errno", record.errnoSymbol.map { ByteString($0) })
    custom(5, "detail", record.detail.map { ByteString($0.name) } ?? record.cause.map { ByteString($0.name) })
    custom(6, "grant", record.grant)
    add("msg", record.message)
    return pairs
  }

  static func field(_ text: String) -> String {
    ByteString(text).escaped.unicodeScalars.reduce(into: "") { $0 += $1 == "|" || $1 == "\\" ? "\\\($1)" : String($1) }
  }

  static func value(_ text: ByteString) -> String {
    text.escaped.unicodeScalars.reduce(into: "") { $0 += $1 == "=" || $1 == "\\" ? "\\\($1)" : String($1) }
  }
}

extension NetworkAddress {
  /// Without port and brackets.
  fileprivate var host: String {
    let whole = String(text.reversed().drop { $0 != ":" }.dropFirst().reversed())
    return whole.hasPrefix("[") ? String(whole.dropFirst().dropLast()) : whole
  }
}

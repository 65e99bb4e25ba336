import Audit
import Authority
import Instructions

/// What records can be written as, for other programs; the raw value is the word that commands use.
public enum ExportFormat: String, CaseIterable, Sendable, Hashable {
  case jsonl
  /// RFC 4180.
  case csv
  /// ArcSight's Common Event Format.
  case cef
  /// As the Linux audit daemon writes user-space records (auditd(8)).
  case audit

  /// What stands before the first record; empty: nothing.
  public var head: String {
    switch self {
    case .csv: CSVExport.head
    case .jsonl, .cef, .audit: ""
    }
  }

  /// One record with its line end: always one line, whatever the record's texts hold.
  ///
  /// - Parameter version: the release, for CEF's header.
  public func line(_ record: AuditRecord, version: String) -> String {
    switch self {
    case .jsonl: record.json + "\n"
    case .csv: CSVExport.line(record)
    case .cef: CEFExport.line(record, version: version)
    case .audit: LinuxAuditExport.line(record)
    }
  }
}

extension AuditRecord {
  /// Every field that exports have, in order. Texts are as they came.
  var exportFields: [(name: String, value: ByteString?)] {
    func text(_ value: String?) -> ByteString? { value.map { ByteString($0) } }
    func number(_ value: (some BinaryInteger)?) -> ByteString? { value.map { ByteString("\($0)") } }
    return [
      ("sequence", number(sequence)), ("time", text(time.text)), ("boottime", number(time.boottime)),
      ("boot", text(boot.text)), ("kind", text(kind.name)), ("verdict", text(kind.verdict.rawValue)),
      ("reason", text(reason?.name)), ("detail", text(detail?.name)), ("errno", text(errnoSymbol)),
      ("path", text(path?.name)), ("operation", text(operation?.name)),
      ("operations", text(operations?.names.joined(separator: " "))), ("offset", number(operands?.offset)),
      ("length", number(operands?.length)), ("request", number(operands?.request)),
      ("address", text(operands?.address?.text)), ("object", object), ("application", application),
      ("association", number(association?.rawValue)), ("generation", number(generation)), ("pid", number(pid)),
      ("tid", number(tid)), ("start", number(processStart)), ("uid", number(uid)),
      ("gid", number(circumstances?.effectiveGID)), ("executable", executablePath),
      ("executableID", text(executable.map { "\($0.device):\($0.inode)" })), ("cgroup", cgroup), ("grant", grant),
      ("cause", text(cause?.name)), ("judged", text(circumstances?.cause?.name)), ("message", message),
      ("gapFirst", number(gap?.first)), ("gapLast", number(gap?.last)),
      ("lost", number(gap?.lost)),
      ("truncated", text(isTruncated ? "true" : nil)),
    ]
  }
}

import Audit
import Authority
import Instructions

/// Comma-separated values: RFC 4180, with a head line and CRLF.
///
/// Spreadsheets take a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula (OWASP: CSV
/// injection), so such a text gets an apostrophe before it; and control characters, bytes that are not UTF-8 and
/// backslashes are escaped as everywhere for people (`\x1b`, `\\`), so that no cell has more than one line.
enum CSVExport {
  static let head = names.joined(separator: ",") + "\r\n"

  private static let names = AuditRecord(
    .start, time: AuditTime(wall: 0, boottime: 0), boot: BootID(high: 0, low: 0)
  ).exportFields.map(\.name)

  static func line(_ record: AuditRecord) -> String {
    record.exportFields.map { cell($0.value) }.joined(separator: ",") + "\r\n"
  }

  static func cell(_ value: ByteString?) -> String {
    guard let value else { return "" }
    var text = value.escaped
    if let first = text.unicodeScalars.first, dangerous.contains(first) { text = "'" + text }
    guard text.unicodeScalars.contains(where: { $0 == "," || $0 == "\"" || $0 == "'" || $0 == " " }) else {
      return text
    }
    return "\"" + text.replacingQuotes + "\""
  }

  /// The full-width forms too: some spreadsheets take them for the others.
  private static let dangerous: Set<Unicode.Scalar> = [
    "=", "+", "-", "@", "\u{FF1D}", "\u{FF0B}", "\u{FF0D}", "\u{FF20}",
  ]
}

extension String {
  fileprivate var replacingQuotes: String {
    unicodeScalars.reduce(into: "") { $0 += $1 == "\"" ? "\"\"" : String($1) }
  }
}

import Instructions
import Linux

extension AuditRecord {
  /// syslog(3)'s number: what needs looking at, what was refused, the rest.
  var severity: Int {
    switch kind {
    case .gap, .repair, .rekey: 3
    case .refusal: 4
    default: 6
    }
  }

  /// One line for logs that are read by people; nothing in it can act on a terminal or begin another line.
  var line: String {
    let cells = tableRow
    let text = [cells[2], cells[4], cells[5]].filter { !$0.isEmpty }.joined(separator: " ")
    return text + (cells[3].isEmpty ? "" : " [" + cells[3] + "]") + " #\(sequence)"
  }

  /// A datagram of journald's native protocol (systemd: Native Journal Protocol): fields, each with its length where its
  /// bytes are not ours.
  ///
  /// - Parameter isShort: only the line and the number, for what is too long for one datagram otherwise.
  func journaldMessage(source: JournalID, isShort: Bool = false) -> [UInt8] {
    var message = JournaldMessage(line, severity: severity)
    message.field("POSTERN_SOURCE", source.text)
    message.field("POSTERN_SEQUENCE", "\(sequence)")
    message.field("POSTERN_KIND", kind.name)
    if let reason { message.field("POSTERN_REASON", reason.name) }
    if isShort { return message.bytes }
    message.field("POSTERN_TIME", time.text)
    message.field("POSTERN_BOOT", boot.text)
    if let errno { message.field("POSTERN_ERRNO", SystemError.symbol(of: errno)) }
    if let path { message.field("POSTERN_PATH", path.name) }
    if let operation { message.field("POSTERN_OPERATION", operation.name) }
    if let object { message.field("POSTERN_OBJECT", object) }
    if let application { message.field("POSTERN_APPLICATION", application) }
    if let pid { message.field("POSTERN_PID", "\(pid)") }
    if let uid { message.field("POSTERN_UID", "\(uid)") }
    if let executablePath { message.field("POSTERN_EXECUTABLE", executablePath) }
    message.field("POSTERN_RECORD", json)
    return message.bytes
  }

  /// A datagram for /dev/log as syslog(3) sends it (RFC 3164 without a host name).
  func syslogMessage(source: JournalID, process: Int32) -> [UInt8] {
    Self.syslogMessage(line + " journal \(source.text)", severity: severity, wall: time.wall, process: process)
  }

  static func syslogMessage(_ text: String, severity: Int, wall: UInt64, process: Int32) -> [UInt8] {
    let priority = SyslogFacility.authpriv * 8 + severity
    let time = Clock.syslogText(wall: wall).map { $0 + " " } ?? ""
    let message = Array("<\(priority)>\(time)postern[\(process)]: \(text)".utf8)
    guard message.count > SyslogFacility.longest else { return message }
    return message.prefix(SyslogFacility.longest) + Array("...".utf8)
  }
}

enum SyslogFacility {
  /// Security and authorization, for root's eyes (syslog(3) LOG_AUTHPRIV).
  static let authpriv = 10
  /// Bytes of a message that common daemons take without cutting it.
  static let longest = 8000
}

/// A message in the making, for systemd-journald.
struct JournaldMessage {
  private(set) var bytes: [UInt8] = []

  init(_ text: String, severity: Int) {
    field("MESSAGE", text)
    field("PRIORITY", "\(severity)")
    field("SYSLOG_FACILITY", "\(SyslogFacility.authpriv)")
    field("SYSLOG_IDENTIFIER", "postern")
  }

  /// A value of ours, without newlines.
  mutating func field(_ name: String, _ value: String) {
    bytes.append(contentsOf: "\(name)=\(value)\n".utf8)
  }

  /// A value that may hold any bytes: with its length before it.
  mutating func field(_ name: String, _ value: ByteString) {
    bytes.append(contentsOf: "\(name)\n".utf8)
    bytes.appendLittleEndian(UInt64(value.bytes.count))
    bytes.append(contentsOf: value.bytes)
    bytes.append(UInt8(ascii: "\n"))
  }
}

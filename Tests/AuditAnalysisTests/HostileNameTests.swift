import Audit
import AuditAnalysis
import Authority
import Foundation
import Instructions
import Testing

/// Names that attack whoever shows or reads them.
private let hostile: [ByteString] = [
  "plain", "a,b", "a\"b\"c", "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "a\nb", "a\r\nb",
  "a|b=c",
  "\\", "a\\|b", "key=value other=1", "type=USER_AVC msg=audit(1.000:1): pid=0", "'", "' res=success", "\u{1B}[31mred",
  "\u{1B}]0;title\u{07}", "\u{9B}31m", "\u{202E}gnp.exe", "\u{2028}", "\0", "</script><script>", "{\"a\":1}", "",
  ByteString(bytes: [0xFF, 0xFE, 0x41]), ByteString(bytes: [0xC3]), ByteString(bytes: Array(0...255)), "ｆｕｌｌ",
  "\u{FF1D}1+1",
  ByteString(String(repeating: "x", count: 4096)),
]

/// A record that has the name wherever a record can have one.
private func record(_ name: ByteString) -> AuditRecord {
  var record = AuditRecord(
    refusal: Refusal(.limit), time: AuditTime(wall: 1_700_000_000_123_456_789, boottime: 5),
    boot: BootID(high: 1, low: 2))
  record.sequence = 9
  record.object = name
  record.application = name
  record.executablePath = name
  record.cgroup = name
  record.grant = name
  record.message = name
  record.pid = 7
  record.uid = 1000
  record.operation = .send
  record.operands = Operands(
    length: 3, address: NetworkAddress(family: .ipv4, bytes: bytes([10, 0, 0, 1]), port: 53))
  return record
}

extension String {
  /// Whether a terminal would do anything but print it: C0, DEL, C1, and what turns text around.
  fileprivate var acts: Bool {
    unicodeScalars.contains { scalar in
      switch scalar.value {
      case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF, 0x061C: true
      default: false
      }
    }
  }
}

/// A reader of RFC 4180 that knows nothing of the writer.
private func cells(_ line: String) -> [String] {
  var cells = [""]
  var isQuoted = false
  var scalars = Array(line.unicodeScalars)[...]
  while let scalar = scalars.popFirst() {
    if isQuoted {
      if scalar != "\"" {
        cells[cells.count - 1].unicodeScalars.append(scalar)
      } else if scalars.first == "\"" {
        scalars.removeFirst()
        cells[cells.count - 1] += "\""
      } else {
        isQuoted = false
      }
    } else if scalar == "\"", cells[cells.count - 1].isEmpty {
      isQuoted = true
    } else if scalar == "," {
      cells.append("")
    } else {
      cells[cells.count - 1].unicodeScalars.append(scalar)
    }
  }
  return cells
}

@Suite struct HostileNameTests {
  @Test(arguments: hostile) func `a CSV line has one cell a field, no formula, and nothing that acts on a terminal`(
    name: ByteString
  ) {
    let head = cells(String(ExportFormat.csv.head.dropLast()))
    let line = ExportFormat.csv.line(record(name), version: "1")
    #expect(line.hasSuffix("\r\n"))
    let content = String(String.UnicodeScalarView(line.unicodeScalars.dropLast(2)))
    #expect(!content.acts)
    let row = cells(content)
    #expect(row.count == head.count)
    for cell in row {
      #expect(!["=", "+", "-", "@", "\u{FF1D}"].contains(cell.unicodeScalars.first), "\(cell)")
    }
    let index = head.firstIndex(of: "object") ?? 0
    #expect(row[index].hasSuffix(name.escaped))
  }

  @Test(arguments: hostile) func `a CEF line keeps its seven heads and its keys`(name: ByteString) {
    let line = ExportFormat.cef.line(record(name), version: "0|1=2")
    #expect(line.hasSuffix("\n"))
    #expect(!line.dropLast().description.acts)
    // Fields end at a bar that no backslash is before.
    var fields = [""]
    var rest = Array(line.dropLast().unicodeScalars)[...]
    while let scalar = rest.popFirst() {
      if scalar == "\\", fields.count <= 7, let next = rest.popFirst() {
        fields[fields.count - 1].unicodeScalars.append(next)
      } else if scalar == "|", fields.count <= 7 {
        fields.append("")
      } else {
        fields[fields.count - 1].unicodeScalars.append(scalar)
      }
    }
    #expect(fields.count == 8)
    #expect(fields[0] == "CEF:0")
    #expect(fields[3] == "0|1=2")
    // Keys stand before an equals sign that no backslash is before.
    var keys: [String] = []
    var word = ""
    var extensionText = Array(fields[7].unicodeScalars)[...]
    while let scalar = extensionText.popFirst() {
      switch scalar {
      case "\\": _ = extensionText.popFirst()
      case "=":
        keys.append(word)
        word = ""
      case " ": word = ""
      default: word.unicodeScalars.append(scalar)
      }
    }
    #expect(
      keys == [
        "rt", "externalId", "outcome", "act", "reason", "spid", "suid", "sproc", "dst", "dpt", "cs1Label", "cs1",
        "cs2Label", "cs2", "cs4Label", "cs4", "cs6Label", "cs6", "msg",
      ])
  }

  @Test(arguments: hostile) func `a line of the Linux audit format is one record, and each text is whole`(
    name: ByteString
  ) throws {
    let line = ExportFormat.audit.line(record(name), version: "1")
    #expect(
      line.hasPrefix("type=USER_AVC msg=audit(1700000000.123:9): pid=7 uid=1000 auid=4294967295 ses=4294967295 msg='"))
    #expect(line.hasSuffix(" res=failed'\n"))
    #expect(!line.dropLast().description.acts)
    #expect(line.filter { $0 == "'" }.count == 2)
    let inner = line.split(separator: "'")[1]
    let fields = Dictionary(
      inner.split(separator: " ").map { word in
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
      }
    ) { first, _ in first }
    let object = try #require(fields["obj"])
    #expect(fields["res"] == "failed")
    if object.hasPrefix("\"") {
      #expect(Array(object.dropFirst().dropLast().utf8) == name.bytes)
    } else {
      let digits = Array(object)
      let decoded = stride(from: 0, to: digits.count, by: 2).compactMap {
        UInt8(String(digits[$0..<$0 + 2]), radix: 16)
      }
      #expect(decoded == name.bytes)
    }
  }

  @Test(arguments: hostile) func `a JSON line is one JSON object with the name, whole`(name: ByteString) throws {
    let line = ExportFormat.jsonl.line(record(name), version: "1")
    #expect(!line.dropLast().description.acts)
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    if let text = String(validating: name.bytes, as: UTF8.self) {
      #expect(object["object"] as? String == text)
    } else {
      #expect((object["objectHex"] as? String)?.count == name.bytes.count * 2)
    }
  }

  @Test(arguments: hostile) func `why, suggest, a filter's diagnosis and the table obey no name`(name: ByteString)
    throws
  {
    let scene = try Scene(
      """
      version: 1
      objects: { disk: { kind: disk, path: /dev/vdb } }
      applications: { shop: { user: www } }
      grants: [{ application: shop, object: disk, operations: [read] }]
      """)
    var history = History(of: record(name))
    var earlier = record(name)
    earlier.sequence = 3
    history.take(earlier)
    let explanation = Explanation(history, evaluator: try scene.evaluator())
    #expect(explanation.parts.flatMap(\.lines).allSatisfy { !$0.acts })
    var suggester = Suggester(
      try scene.evaluator(), files: scene.files, directory: Scene.Names(), userName: Scene.userName)
    #expect(suggester.suggest(for: history).lines.allSatisfy { !$0.acts })
    #expect(record(name).tableRow.allSatisfy { !$0.acts })
    var diagnosis = FilterDiagnosis(AuditFilter(object: name, application: "other"))
    _ = diagnosis.take(record("x"))
    #expect(diagnosis.explanation { "\($0.key) \($0.value.escaped)" }.allSatisfy { !$0.acts })
  }

  /// The path of the asker's program goes into the policy, as a text that YAML reads as exactly that.
  @Test(arguments: [
    "/bin/a\"b", "/bin/a\\b", "/bin/a: b", "/bin/#x", "/bin/{a}", "/bin/\u{202E}x", "/bin/'", "/bin/a b", "/bin/ü",
    "/bin/- x",
  ]) func `a hostile program's path is written so that the policy means that path`(path: String) throws {
    let scene = try Scene(
      """
      version: 1
      objects:
        disk: { kind: disk, path: /dev/vdb }
      applications:
        shop: { user: www }
      grants:
        - { application: shop, object: disk, operations: [read] }

      """)
    let request = OpenRequest(subject: Scene.subject(1000, path), object: "disk", operations: OperationSet(.read))
    let (_, after, diff) = try scene.suggest(scene.record(request, program: path))
    #expect(!diff.split(separator: "\n").contains { String($0).acts })
    #expect(after.policy.applications.last?.executable == path)
    #expect(after.judge(request).authorization != nil)
  }

  @Test func `a program without a path that a policy can name is not named, and that is said`() throws {
    let scene = try Scene(
      """
      version: 1
      objects: { disk: { kind: disk, path: /dev/vdb } }
      applications: { shop: { user: www } }
      grants: [{ application: shop, object: disk, operations: [read] }]
      """)
    for path in ["/bin/a\nb", "/bin/gone (deleted)", "memfd:x"] {
      let request = OpenRequest(subject: Scene.subject(1000, path), object: "disk", operations: OperationSet(.read))
      let (suggestion, after, _) = try scene.suggest(scene.record(request, program: path))
      #expect(after.policy.applications.last?.executable == nil)
      #expect(suggestion.warnings.contains { $0.contains("names no program") }, "\(suggestion)")
    }
  }
}

import Authority
import Policy
import TestSupport
import Testing

/// Files as a whole: several of them, and those that are no policies at all.
@Suite struct FileTests {
  private func read(_ files: [(String, [UInt8])]) -> Result<ReadPolicy, PolicyMistakes> {
    PolicyReader.read(files: files.map { PolicyFile(name: $0.0, bytes: $0.1) }, directory: FakeDirectory())
  }

  private func lines(_ files: [(String, String)]) -> [String] {
    switch read(files.map { ($0.0, Array($0.1.utf8)) }) {
    case .success(let policy): policy.warnings.map(\.line)
    case .failure(let failure): failure.mistakes.map(\.line)
    }
  }

  private func lines(_ bytes: [UInt8]) -> [String] {
    switch read([("p.yaml", bytes)]) {
    case .success(let policy): policy.warnings.map(\.line)
    case .failure(let failure): failure.mistakes.map(\.line)
    }
  }

  static let main = """
    version: 1
    admins: postern-admin
    objects:
      a: { kind: disk, path: /a }
    applications:
      x: { user: alice }
    """

  @Test func `drop-in files add to the main one, in their order, and see its names`() throws {
    let model = try read([
      ("policy.yaml", Array(Self.main.utf8)),
      ("10.yaml", Array("objects: { b: { kind: disk, path: /b } }\n".utf8)),
      ("20.yaml", Array("version: 1\ngrants: [{ application: x, object: b, operations: [read] }]\n".utf8)),
    ]).get().model
    #expect(model.objects.map(\.name) == ["a", "b"])
    #expect(model.grants.map(\.object) == ["b"])
  }

  @Test func `a name defined in two files is a mistake that names both places`() {
    #expect(
      lines([
        ("policy.yaml", Self.main),
        ("policy.d/10.yaml", "objects:\n  a: { kind: disk, path: /b }\napplications:\n  x: { user: 0 }\n"),
      ]) == [
        "policy.d/10.yaml:2:3: error: object \"a\" is defined twice; first at policy.yaml:4:3",
        "policy.d/10.yaml:4:3: error: application \"x\" is defined twice; first at policy.yaml:6:3",
      ])
  }

  @Test func `admins, limits and audit stand in one file only`() {
    #expect(
      lines([("policy.yaml", Self.main), ("10.yaml", "admins: video\n")])
        == ["10.yaml:1:1: error: \"admins\" is given twice; first at policy.yaml:2:1"])
  }

  @Test func `a grant that stands in two files is a mistake that names both places`() {
    let grant = "grants:\n  - { application: x, object: a, operations: [read] }\n"
    #expect(
      lines([("policy.yaml", Self.main), ("10.yaml", grant), ("20.yaml", grant)])
        == ["20.yaml:2:5: error: a second grant for application \"x\" and object \"a\"; first at 10.yaml:2:5"])
  }

  @Test func `mistakes are sorted by file in the order of reading, then by place`() {
    #expect(
      lines([("z.yaml", "version: 2\nx: 1\n"), ("a.yaml", "y: 1\n")]).map { String($0.prefix(12)) }
        == ["z.yaml:1:10:", "z.yaml:2:1: ", "a.yaml:1:1: "])
  }

  @Test func `an empty drop-in is a warning`() {
    #expect(
      lines([("p.yaml", "version: 1\n"), ("10.yaml", "# none\n")]) == ["10.yaml:1:1: warning: the file is empty"])
  }

  @Test func `warnings alone do not refuse a policy`() throws {
    let policy = try read([("p.yaml", Array("version: 1\napplications: { a: { executable: /bin/a } }\n".utf8))]).get()
    #expect(policy.warnings.count == 1)
    #expect(policy.model.applications.count == 1)
  }

  @Test func `bytes that are no UTF-8 are a mistake at their place`() {
    #expect(lines(Array("version: 1\nadmins: a".utf8) + [0xFF]) == ["p.yaml:2:10: error: the file is not UTF-8 text"])
    #expect(lines(Array("version: 1\n".utf8) + [0xC0, 0x80]) == ["p.yaml:2:1: error: the file is not UTF-8 text"])
    #expect(lines([0xED, 0xA0, 0x80]) == ["p.yaml:1:1: error: the file is not UTF-8 text"])
  }

  @Test func `a binary file is a mistake at its first such byte`() {
    #expect(
      lines([0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0])
        == ["p.yaml:1:1: error: character U+7F is not allowed; is this a text file?"])
    #expect(
      lines(Array("version: 1\nadmins: ".utf8) + [0])
        == ["p.yaml:2:9: error: character U+0 is not allowed; is this a text file?"])
  }

  @Test func `a byte order mark does not move the columns`() {
    #expect(
      lines([0xEF, 0xBB, 0xBF] + Array("version: 2\n".utf8)) == [
        "p.yaml:1:10: error: version \"2\" is not known; expected 1"
      ])
  }

  @Test func `columns count characters, not bytes`() {
    #expect(
      lines(Array("version: 1\nobjects: { \"ä€😀\": { kind: disk, path: /a }, b: { kind: x } }\n".utf8)) == [
        "p.yaml:2:12: error: \"ä€😀\" is no name for an object; expected up to 64 letters, digits, dots, - and _, not starting with . or -",
        "p.yaml:2:56: error: \"x\" is not known for kind; expected one of: socket, disk, bus",
      ])
  }

  @Test func `line breaks of other systems are counted as lines`() {
    #expect(lines(Array("version: 1\r\nx: 1\r\n".utf8)).map { String($0.prefix(11)) } == ["p.yaml:2:1:"])
    #expect(
      lines(Array("version: 1\r\nadmins: &a\r\n  video\r\n".utf8))
        == ["p.yaml:2:9: error: an anchor is not allowed; write the value out where it is used"])
  }

  @Test func `a huge file is refused without being parsed`() {
    let bytes = [UInt8](repeating: 0x23, count: PolicyReader.maximumFileSize + 1)
    #expect(lines(bytes) == ["p.yaml:1:1: error: the file has 4194305 bytes; expected at most 4194304"])
  }

  @Test func `nesting beyond the schema is a mistake and ends`() {
    let deep = "version: 1\nobjects: \(String(repeating: "[", count: 100))\(String(repeating: "]", count: 100))\n"
    #expect(
      lines(Array(deep.utf8)) == [
        "p.yaml:2:10: error: a list stands here; expected a mapping of object names to objects",
        "p.yaml:2:17: error: nested too deep; expected at most 8 levels",
      ])
  }

  @Test(arguments: ["[", "{a: ", "- ", "? "])
  func `bottomless nesting is a mistake and no crash`(_ opening: String) {
    let text = "version: 1\nobjects: \n  \(String(repeating: opening, count: 20000))"
    #expect(!lines(Array(text.utf8)).isEmpty)
  }

  @Test func `aliases that would expand to billions of nodes do not`() {
    var text = "version: 1\nadmins: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in 1...30 {
      text += "k\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", "))]\n"
    }
    let found = lines(Array(text.utf8))
    #expect(found.contains { $0.contains("too many aliases") })
  }

  @Test func `a key that would expand to billions of nodes does not`() {
    var text = "version: 1\nk0: &a0 [x, x]\n"
    for level in 1...12 { text += "k\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
    text += "? *a12\n: 1\n? *a12\n: 2\n"
    let found = lines(Array(text.utf8))
    #expect(found.filter { $0.contains("an alias is not allowed") }.count == 26)
  }

  @Test func `sixty-four anchors of one letter hide no alias`() {
    let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
    let anchors = letters.map { "&\($0) x" }.joined(separator: ", ")
    let found = lines(Array("version: 1\nadmins: [\(anchors), *a]\n".utf8))
    #expect(found == ["p.yaml:2:395: error: too many anchors; anchors and aliases are not allowed"])
  }

  @Test func `more duplicate keys than are worth a parse end in one mistake`() {
    let text = "version: 1\n" + (0..<40).map { "k\($0): 1\nk\($0): 2\n" }.joined()
    let found = lines(Array(text.utf8))
    #expect(found.contains { $0.contains("this key stands twice") })
  }

  @Test func `a large correct policy is read`() throws {
    var text = "version: 1\napplications: { a: { user: alice } }\nobjects:\n"
    for number in 0..<1000 { text += "  o\(number): { kind: disk, path: /dev/x\(number) }\n" }
    #expect(try read([("p.yaml", Array(text.utf8))]).get().model.objects.count == 1000)
  }

  @Test func `no files at all is a failure`() {
    guard case .failure = read([]) else {
      Issue.record("read")
      return
    }
  }

  @Test func `the broker's own paths are refused beside the usual ones`() {
    let text = "version: 1\nobjects:\n  a: { kind: socket, listen: \"unix:///tmp/own/sock\" }\n"
    let result = PolicyReader.read(
      files: [PolicyFile(name: "p.yaml", bytes: Array(text.utf8))], directory: FakeDirectory(),
      forbiddenPaths: ["/tmp/own"])
    guard case .failure(let failure) = result else {
      Issue.record("read")
      return
    }
    #expect(failure.mistakes.map(\.place) == [PolicyPlace(file: "p.yaml", line: 3, column: 30)])
  }

  @Test func `a mistake is one line whatever the file says`() {
    let place = PolicyPlace(file: "a\nb.yaml", line: 1, column: 2)
    let mistake = PolicyMistake(place: place, severity: .error, text: "\u{1B}[2J \u{202E}x\u{7F}\u{85}\u{2028}é")
    #expect(mistake.line == "a\\u{a}b.yaml:1:2: error: \\u{1b}[2J \\u{202e}x\\u{7f}\\u{85}\\u{2028}é")
  }

  @Test func `random damage to a good policy never crashes and always says something or reads`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SplitMix(state: seed)
    let good = Array(ExampleTests.contract.utf8)
    for _ in 0..<300 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let index = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes.remove(at: index)
        case 2: bytes.insert(Array("&*!{}[]:,-?|>'\"%@`#\n\t ".utf8).randomElement(using: &generator) ?? 0, at: index)
        default: bytes = Array(bytes[..<max(1, index)])
        }
      }
      if case .failure(let failure) = read([("p.yaml", bytes)]) {
        let lineCount = bytes.count { $0 == 0x0A || $0 == 0x0D } + 2
        #expect(!failure.mistakes.isEmpty, "seed \(seed)")
        #expect(failure.mistakes.contains { $0.severity == .error }, "seed \(seed)")
        #expect(
          failure.mistakes.allSatisfy { $0.place.line >= 1 && $0.place.column >= 1 && $0.place.line <= lineCount },
          "seed \(seed)")
      }
    }
  }
}

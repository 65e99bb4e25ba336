import Instructions
import Testing

@testable import PosternCommands

@Suite struct ArgumentTests {
  @Test(arguments: [
    ["nonsense"], [], ["--nonsense"], ["object"], ["association"], ["policy"], ["audit"], ["read"], ["object", "show"],
    ["status", "extra"], ["status", "--format", "xml"], ["status", "--socket"], ["status", "--socket", ""],
    ["read", "x", "--offset", "-1"], ["read", "x", "--offset", "1MB"], ["read", "x", "--length", "99999999999TiB"],
    ["read", ""], ["transfer", "x"], ["transfer", "x", "--write", "0"], ["transfer", "x", "--write", "zz"],
    ["transfer", "x", "--read", "65537"], ["can-i", "fly", "x"], ["can-i", "read"],
    ["can-i", "read", "x", "--executable", "relative"], ["grant", "--application", "a", "--object", "o"],
    ["grant", "--application", "a", "--object", "o", "--operations", ""],
    ["grant", "--application", "a", "--object", "o", "--operations", "read,"],
    ["grant", "--application", "a", "--object", "o", "--operations", "read", "--expires", "8"],
    ["grant", "--application", "a", "--object", "o", "--operations", "read", "--expires", "0s"],
    ["audit", "list", "--reason", "none"], ["audit", "list", "--newest", "0"], ["audit", "list", "--since", "soon"],
    ["association", "list", "--pid", "0"], ["association", "list", "--object", ""],
    ["revoke"], ["revoke", "--timeout", "1"], ["revoke", "--all", "--pid", "1"], ["revoke", "--object", ""],
    ["revoke", "--all", "--timeout", "-1"], ["revoke", "--all", "--timeout", "."], ["revoke", "--association", "x"],
    ["open", "x"], ["run", "x"], ["run"], ["run", "--"], ["open", "--", "true"], ["open", "a,a", "--", "true"],
    ["open", "a,", "--", "true"], ["open", "a:b", "--", "true"], ["run", "--object", "", "--", "true"],
    ["audit", "whither", "1"], ["audit", "why"], ["audit", "why", "0"], ["audit", "list", "--format", "csv"],
    ["audit", "stats", "--by", "colour"],
    ["run", "--learn"], ["run", "--learn", "--dry-run", "--", "true"], ["run", "--output", "x", "--", "true"],
    ["run", "--learn", "--object", "x", "--", "true"], ["run", "--learn", "--output", "", "--", "true"],
  ])
  func `a mistake in the arguments exits 64 and reaches no broker`(arguments: [String]) {
    let surroundings = RecordedSurroundings()
    #expect(Invocation.run(arguments, in: surroundings) == .usage)
    #expect(surroundings.output == [])
    #expect(surroundings.complained.contains("Error: "))
  }

  @Test(arguments: [["--help"], ["help"], ["read", "--help"], ["help", "audit", "list"], ["policy", "check", "-h"]])
  func `help is no error`(arguments: [String]) {
    let surroundings = RecordedSurroundings()
    #expect(Invocation.run(arguments, in: surroundings) == .done)
    #expect(surroundings.printed.contains("USAGE: postern"))
    #expect(surroundings.error == [])
  }

  @Test func `the version is the one of all parts`() {
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("--version") == .done)
    #expect(surroundings.printed == Version.text + "\n")
  }

  @Test func `help offers no command that does not exist, or that nobody types`() {
    let surroundings = RecordedSurroundings()
    surroundings.run("--help")
    for absent in ["  keep ", "  why "] { #expect(!surroundings.printed.contains(absent)) }
  }

  @Test(arguments: ["bash", "zsh", "fish"]) func `completions are generated`(shell: String) {
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("--generate-completion-script", shell) == .done)
    #expect(surroundings.printed.contains("postern"))
  }

  @Test func `an argument's control characters are not obeyed in the error`() {
    let surroundings = RecordedSurroundings()
    surroundings.run("status", "\u{1B}[31mred\u{202E}")
    #expect(!surroundings.error.contains(0x1B))
    #expect(!surroundings.complained.contains("\u{202E}"))
  }

  @Test(arguments: [["--socket", "/nowhere", "status"], ["status", "--socket", "/nowhere"]])
  func `a broker that is not there exits 69, wherever the option stands`(arguments: [String]) {
    let surroundings = RecordedSurroundings()
    #expect(Invocation.run(arguments, in: surroundings) == .unreachable)
    #expect(surroundings.complained.contains("/nowhere"))
  }

  @Test func `sizes are read as the policy writes them`() throws {
    #expect(try ArgumentReading.byteCount("512") == 512)
    #expect(try ArgumentReading.byteCount("0x200") == 512)
    #expect(try ArgumentReading.byteCount("64KiB") == 65_536)
    #expect(try ArgumentReading.byteCount("10GiB") == 10 << 30)
    #expect(try ArgumentReading.byteCount("18446744073709551615") == .max)
    for bad in ["", "-1", "+1", "1 KiB", "KiB", "0x", "0x+1", "18446744073709551616", "16777216TiB", "1e3", "1.5"] {
      #expect(throws: (any Error).self, "\(bad)") { try ArgumentReading.byteCount(bad) }
    }
  }

  @Test func `seconds become milliseconds`() throws {
    #expect(try ArgumentReading.timeout("1") == 1000)
    #expect(try ArgumentReading.timeout("0.5") == 500)
    #expect(try ArgumentReading.timeout("0") == 0)
    #expect(try ArgumentReading.timeout("2.0019") == 2001)
    for bad in ["", "1s", "-1", "1.2.3", "4294968", "18446744073709551616"] {
      #expect(throws: (any Error).self, "\(bad)") { try ArgumentReading.timeout(bad) }
    }
  }

  @Test func `hexadecimal digits come in pairs`() throws {
    #expect(try ArgumentReading.hexadecimal("0a1B") == [0x0A, 0x1B])
    #expect(try ArgumentReading.hexadecimal("0x0a:1b ff") == [0x0A, 0x1B, 0xFF])
    for bad in ["0", "0g", "\u{FF11}\u{FF11}", "-1"] {
      #expect(throws: (any Error).self, "\(bad)") { try ArgumentReading.hexadecimal(bad) }
    }
  }

  @Test func `operations are told apart by commas`() throws {
    #expect(try ArgumentReading.operations("read,write") == OperationSet([.read, .write]))
    for bad in ["", "read,,write", "read write", "READ", "all"] {
      #expect(throws: (any Error).self, "\(bad)") { try ArgumentReading.operations(bad) }
    }
  }
}

@Suite struct TimestampTests {
  @Test func `a time is read back as it was printed`() {
    for nanoseconds: UInt64 in [0, 1, 951_782_400_000_000_000, 1_709_164_800_123_456_789, 4_102_444_800_000_000_000] {
      #expect(Timestamp.parse(Timestamp.exact(nanoseconds)) == nanoseconds)
    }
  }

  @Test func `an offset and a fraction are understood`() {
    #expect(Timestamp.parse("2024-02-29T13:30:00.5+01:30") == Timestamp.parse("2024-02-29T12:00:00.500Z"))
    #expect(Timestamp.parse("1970-01-01T00:00:00-00:01") == 60_000_000_000)
  }

  @Test(arguments: [
    "", "2024", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z",
    "2024-01-01T00:00:00", "2024-01-01T00:00:00Zz", "1969-12-31T23:59:59Z", "2024-01-01T00:00:00.Z",
    "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59Z",
  ])
  func `what is no time, or none that nanoseconds can count, is refused`(text: String) {
    #expect(Timestamp.parse(text) == nil)
  }

  @Test func `a duration names a moment before now, at the earliest the beginning of time`() throws {
    #expect(try ArgumentReading.moment("15m").nanoseconds(now: 1_000_000_000_000) == 100_000_000_000)
    #expect(try ArgumentReading.moment("90d").nanoseconds(now: 5) == 0)
  }

  @Test func `short times have no fraction`() { #expect(Timestamp.short(1_500_000_000) == "1970-01-01T00:00:01Z") }
}

import Policy
import Testing

@Suite struct SettingsMistakeTests {
  @Test func `admins is a group that exists`() {
    let text =
      #"""
      version: 1
      admins: wheel

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:9: error: there is no group \"wheel\" on this machine; expected the name or number of a group"
      ])
  }

  @Test func `limits are numbers from 1 to 65536`() {
    let text =
      #"""
      version: 1
      limits: { connections-per-user: 0, requests-per-user: 65537, objects-per-user: x }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:33: error: 0 is out of range for connections-per-user; expected a number from 1 to 65536",
        "p.yaml:2:55: error: 65537 is out of range for requests-per-user; expected a number from 1 to 65536",
        "p.yaml:2:80: error: \"x\" is not a number; expected a number from 1 to 65536",
      ])
  }

  @Test func `audit settings have units, ranges and known sinks`() {
    let text =
      #"""
      version: 1
      audit: { retention: 90, segment: 1KiB, redact: executable, readers: no-group, sinks: [journal, journald, journald] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:21: error: \"90\" has no unit; expected a duration such as 30s, 15m, 8h or 90d",
        "p.yaml:2:34: error: a segment of 1024 bytes is out of range; expected 4KiB to 1TiB",
        "p.yaml:2:48: error: a single value stands here; expected a list of record fields, such as [executable, cgroup]",
        "p.yaml:2:69: error: there is no group \"no-group\" on this machine; expected the name or number of a group",
        "p.yaml:2:87: error: \"journal\" is not known for sinks; did you mean \"journald\"?",
        "p.yaml:2:106: error: \"journald\" stands twice in sinks",
      ])
  }

  @Test func `what can be redacted, where records go and where checkpoints go is known`() {
    let text =
      #"""
      version: 1
      audit:
        redact: [operands, address, executable, cgroup, message, grant]
        sinks: [journald, syslog, "file:/var/log/postern.jsonl"]
        checkpoints: /mnt/elsewhere

      """#
    #expect(lines(text) == [])
    let wrong =
      #"""
      version: 1
      audit:
        redact: [operand, pid]
        sinks: ["file:relative", sysslog]
        checkpoints: elsewhere

      """#
    #expect(
      lines(wrong) == [
        "p.yaml:3:12: error: \"operand\" is not known for redact; did you mean \"operands\"?",
        "p.yaml:3:21: error: \"pid\" is not known for redact; expected one of: operands, address, executable, cgroup, message, grant",
        "p.yaml:4:11: error: \"file:relative\" is not known for sinks; expected file: and an absolute path",
        "p.yaml:4:28: error: \"sysslog\" is not known for sinks; did you mean \"syslog\"?",
        "p.yaml:5:16: error: \"elsewhere\" is not absolute; expected the absolute path of a directory",
      ])
  }

  @Test func `a duration has a known unit`() {
    let text =
      #"""
      version: 1
      audit: { retention: 5w }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:21: error: \"5w\" is not a duration; expected a duration such as 30s, 15m, 8h or 90d"
      ])
  }
}
